"""What ffmpeg does not tell of an MP4 or M4A file: whether a track is encrypted, how long it is, whether the file was cut off.

It shows the codec below the encryption, and decodes what it cannot decrypt into noise. Of a file in fragments it reads as many
as there are.
Source of the layout: ISO/IEC 14496-12 (boxes), 23001-7 (common encryption).
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

_HEADER: Final = struct.Struct(">I4s")
_LARGE_SIZE: Final = struct.Struct(">Q")
_SOUND: Final = b"soun"

# Common encryption; what Apple and Audible sell.
_ENCRYPTED: Final = frozenset({b"enca", b"drms", b"drmi", b"aavd", b"aaxc"})

_TRACK_PATH: Final = (b"moov", b"trak", b"mdia")
_DESCRIPTIONS_PATH: Final = (b"minf", b"stbl", b"stsd")
_HANDLER_OFFSET: Final = 8  # in hdlr, after version, flags and a field of zeros
_MEDIA_HEADER: Final = (struct.Struct(">12xII"), struct.Struct(">20xIQ"))  # mdhd by version: units a second, units
_NOT_KNOWN: Final = (0, 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF)  # 0 where the file was written piece by piece
_DESCRIPTIONS_OFFSET: Final = 8  # in stsd, after version, flags and a count

# QuickTime files from before the standard start with any of the others.
_FIRST_BOXES: Final = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"})

# What lies in any other may be lost, or is no box at all but what some program has put behind the last one.
_BOXES_OF_SOUND: Final = frozenset({b"moof", b"mdat"})

# More than recordings have up to where their tracks are described: a file of nothing but tiny boxes must not keep us.
_MOST_BOXES: Final = 100_000


class _Box(NamedTuple):
    name: bytes
    start: int  # of what it holds
    end: int  # or where the file ends
    declared_end: int


def encrypted_audio_tracks(content: bytes | bytearray) -> frozenset[int]:
    """The numbers of the encrypted audio tracks, counted from 0 among the audio tracks. Empty where `content` is no MP4."""
    boxes = _Boxes(content)
    return frozenset(number for number, media in enumerate(boxes.sound_tracks()) if boxes.is_encrypted(media))


def declared_mp4_seconds(content: bytes | bytearray, track: int) -> float | None:
    """How long audio track `track` says it is; None where it does not, or `content` is no MP4."""
    boxes = _Boxes(content)
    return next((boxes.seconds(media) for number, media in enumerate(boxes.sound_tracks()) if number == track), None)


def missing_mp4_bytes(content: bytes | bytearray) -> int:
    """How far the last box of sound reaches beyond the end of the file. 0 where `content` is no MP4."""
    return _Boxes(content).missing_bytes()


class _Boxes:
    def __init__(self, content: bytes | bytearray) -> None:
        self._content = content
        self._left = _MOST_BOXES

    def sound_tracks(self) -> Iterator[_Box]:
        """Their media boxes."""
        if self._is_mp4():
            n_bytes = len(self._content)
            yield from filter(self.is_sound, self.inside(_Box(b"", 0, n_bytes, n_bytes), _TRACK_PATH))

    def missing_bytes(self) -> int:
        boxes = self._read(0, len(self._content)) if self._is_mp4() else iter(())
        return max((box.declared_end - box.end for box in boxes if box.name in _BOXES_OF_SOUND), default=0)

    def _is_mp4(self) -> bool:
        return bytes(self._content[4:8]) in _FIRST_BOXES

    def seconds(self, media: _Box) -> float | None:
        for box in self._read(media.start, media.end):
            if box.name == b"mdhd" and box.start < box.end:
                layout = _MEDIA_HEADER[min(self._content[box.start], 1)]
                if box.start + layout.size <= box.end:
                    scale, units = layout.unpack_from(self._content, box.start)
                    return units / scale if scale and units not in _NOT_KNOWN else None
        return None

    def is_sound(self, media: _Box) -> bool:
        starts = [box.start + _HANDLER_OFFSET for box in self._read(media.start, media.end) if box.name == b"hdlr"]
        return any(self._content[start : start + len(_SOUND)] == _SOUND for start in starts)

    def is_encrypted(self, media: _Box) -> bool:
        return any(
            entry.name in _ENCRYPTED
            for descriptions in self.inside(media, _DESCRIPTIONS_PATH)
            for entry in self._read(descriptions.start + _DESCRIPTIONS_OFFSET, descriptions.end)
        )

    def inside(self, outer: _Box, path: tuple[bytes, ...]) -> Iterator[_Box]:
        """The boxes at the end of `path`."""
        for box in self._read(outer.start, outer.end):
            if box.name == path[0]:
                if len(path) == 1:
                    yield box
                else:
                    yield from self.inside(box, path[1:])

    def _read(self, start: int, end: int) -> Iterator[_Box]:
        while start + _HEADER.size <= end and self._left:
            self._left -= 1
            size_bytes, name = _HEADER.unpack_from(self._content, start)
            header_bytes = _HEADER.size
            if size_bytes == 1 and start + _HEADER.size + _LARGE_SIZE.size <= end:
                (size_bytes,) = _LARGE_SIZE.unpack_from(self._content, start + _HEADER.size)
                header_bytes += _LARGE_SIZE.size
            elif size_bytes == 0:  # to the end of the file
                size_bytes = end - start
            if size_bytes < header_bytes:
                return
            yield _Box(name, start + header_bytes, min(start + size_bytes, end), start + size_bytes)
            start += size_bytes
