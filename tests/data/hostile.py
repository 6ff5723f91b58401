"""Files that an honest uploader never sends, and those that an unlucky one does. Made from the sample with ffmpeg alone.

Each says what must become of it: an error code, or a transcript's warnings. Playlists point at a canary that must never be
read.
"""

import gzip
import io
import json
import random
import struct
import subprocess
import tarfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final

_SEED: Final = 4
_AT_ONCE: Final = 4
_EMPTY_MP4: Final = b"\0\0\0\x14ftypisom\0\0\0\0isom"


@dataclass(frozen=True)
class Expected:
    """error: a code, or None where there is a transcript. warnings: codes. options: of the request."""

    error: str | None = None
    warnings: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Canary:
    """What nobody may read. path: a recording. pipe: a FIFO, whose reader hangs. address: http, of a server that counts."""

    path: Path
    pipe: Path
    address: str


class Workshop:
    """ffmpeg: its path. sample: a recording. folder: for what ffmpeg writes."""

    def __init__(self, ffmpeg: str, sample: Path, folder: Path, canary: Canary) -> None:
        self._ffmpeg = ffmpeg
        self._sample = sample
        self.folder = folder
        self.canary = canary
        self._made: dict[str, bytes] = {}
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)

    def recording(self, name: str, *arguments: str) -> bytes:
        """The sample in another format; made once."""
        with self._locks[name]:
            if (content := self._made.get(name)) is None:
                content = self._made[name] = self.make(name, "-i", str(self._sample), *arguments)
            return content

    def picture(self, name: str, *arguments: str) -> bytes:
        return self.make(name, "-f", "lavfi", "-i", "testsrc=s=64x64", *arguments)

    def make(self, name: str, *arguments: str) -> bytes:
        path = self.folder / name
        command = [self._ffmpeg, "-nostdin", "-v", "error", "-y", *arguments, "-threads", "1", str(path)]
        subprocess.run(command, check=True, timeout=60)
        return path.read_bytes()


Maker = Callable[[Workshop], bytes]
CORPUS: Final[dict[str, tuple[Maker, Expected]]] = {}

_TRUNCATED: Final = Expected(warnings=("truncated_audio",))
_DAMAGED: Final = Expected(warnings=("damaged_audio",))
_FINE: Final = Expected()


def refused(code: str, **options: Any) -> Expected:
    return Expected(code, options=options)


def add(name: str, make: Maker, expected: Expected) -> None:
    if name in CORPUS:
        raise ValueError(f"two files are called {name}")
    CORPUS[name] = (make, expected)


# --- nothing, or hardly anything --------------------------------------------------------------------------------------------

add("zero-bytes.wav", lambda _: b"", refused("empty_file"))
add("one-byte.mp3", lambda _: b"\0", refused("not_audio"))
add("header-only.wav", lambda shop: _plain_wav(shop)[:44], refused("no_samples"))
add("half-a-header.wav", lambda shop: _plain_wav(shop)[:20], refused("decoding_failed"))
add("header-only.flac", lambda shop: shop.recording("a.flac")[:42], refused("decoding_failed"))
add("header-only.ogg", lambda shop: shop.recording("a.ogg")[:58], refused("decoding_failed"))
add("header-only.m4a", lambda shop: shop.recording("a.m4a")[:40], refused("decoding_failed"))
add("header-only.webm", lambda shop: shop.recording("a.webm")[:300], refused("decoding_failed"))
add("tag-only.mp3", lambda _: b"ID3\x04\0\0\0\0\0\x0a" + bytes(10), refused("decoding_failed"))

# --- cut off ----------------------------------------------------------------------------------------------------------------

for _name, _arguments in {
    "wav": (),
    "mp3": (),
    "flac": (),
    "ogg": (),
    "opus": (),
    "webm": (),
    "mka": (),
    "aiff": (),
    "caf": (),
    "wma": (),
    "avi": (),
    "w64": (),
    "au": (),
    "flv": ("-ar", "44100"),
}.items():

    def _half(shop: Workshop, name: str = _name, arguments: tuple[str, ...] = _arguments) -> bytes:
        content = shop.recording(f"a.{name}", *arguments)
        return content[: len(content) // 2]

    add(f"half.{_name}", _half, _TRUNCATED)

add("half.m4a", lambda shop: shop.recording("a.m4a")[:40_000], refused("decoding_failed"))
add("half-index-first.m4a", lambda shop: _index_first(shop)[:50_000], _TRUNCATED)
add("half-in-fragments.mp4", lambda shop: _fragmented(shop)[: len(_fragmented(shop)) // 2], _TRUNCATED)
# None of these says how long it was meant to be.
add("half.aac", lambda shop: shop.recording("a.aac")[:50_000], _FINE)
add("half.ts", lambda shop: shop.recording("a.ts")[:60_000], _FINE)
add("half-without-length.mp3", lambda shop: _half_of_frames(shop), _FINE)

# --- damaged ----------------------------------------------------------------------------------------------------------------

add("flipped.wav", lambda shop: _flip(_plain_wav(shop)), _FINE)  # every sample is as good as any other
add("flipped.mp3", lambda shop: _flip(shop.recording("a.mp3")), _DAMAGED)
add("flipped.flac", lambda shop: _flip(shop.recording("a.flac")), _DAMAGED)
add("flipped.ogg", lambda shop: _flip(shop.recording("a.ogg")), _DAMAGED)
add("flipped.m4a", lambda shop: _flip(_index_first(shop), 20), _DAMAGED)
add("flipped.webm", lambda shop: _flip(shop.recording("a.webm")), _TRUNCATED)

add("content-overwritten.m4a", lambda shop: _overwrite(_index_first(shop)), refused("decoding_failed"))
add("hole.mp3", lambda shop: _hole(shop.recording("a.mp3")), _FINE)
# Frames that are missing leave no trace: each begins anew.
add("hole.aac", lambda shop: _without_middle(shop.recording("a.aac")), _FINE)
add("nothing-but-nan.wav", lambda _: _floats(float("nan"), float("nan")), refused("decoding_failed"))
add("nothing-but-infinity.wav", lambda _: _floats(float("inf"), 1e30), refused("decoding_failed"))
add("nothing-but-nan-64.wav", lambda _: _floats(float("nan"), float("nan"), 8), refused("decoding_failed"))
add("silence-of-floats.wav", lambda _: _floats(0.0, 0.0), _FINE)
add("rubbish-first.mp3", lambda shop: random.Random(_SEED).randbytes(3_000) + shop.recording("a.mp3"), _FINE)

# --- honest, but odd --------------------------------------------------------------------------------------------------------

add("index-last.m4a", lambda shop: shop.recording("a.m4a"), _FINE)
add("huge-cover.mp3", lambda shop: _with_cover(shop, "cover.mp3"), _FINE)
add("huge-cover.m4a", lambda shop: _with_cover(shop, "cover.m4a"), _FINE)
add("two-tracks.mka", lambda shop: _two_tracks(shop), Expected(warnings=("other_audio_tracks",)))
add("second-of-two-tracks.mka", lambda shop: _two_tracks(shop), Expected(options={"audio_track": 1}))
add("no-such-track.mka", lambda shop: _two_tracks(shop), refused("invalid_options", audio_track=5))
add("ten-thousand-chunks.wav", lambda shop: _many_chunks(shop), _FINE)
add("file:canary.wav", lambda shop: _plain_wav(shop), _FINE)
add("canary.wav -> canary", lambda shop: _plain_wav(shop), _FINE)
add("from-a-pipe.wav", lambda shop: _set_data_size(_plain_wav(shop), 0xFFFF_FFFF), _FINE)

add("one-behind-the-other.wav", lambda shop: _plain_wav(shop) * 2, Expected(warnings=("unread_audio",)))

# --- lies -------------------------------------------------------------------------------------------------------------------

add("declares-more.wav", lambda shop: _set_data_size(_plain_wav(shop), 40_000_000), _TRUNCATED)
add("declares-more.flac", lambda shop: _declare_flac_samples(shop.recording("a.flac"), 60 * 16_000), _TRUNCATED)
add("declares-a-week.flac", lambda shop: _declare_flac_samples(shop.recording("a.flac"), 2**36 - 1), _TRUNCATED)
add("one-hertz.wav", lambda _: _wav(rate_hz=1, channels=1, n_bytes=20_000), refused("unsupported_audio"))
add("one-kilohertz.wav", lambda _: _wav(rate_hz=1_000, channels=1, n_bytes=20_000), refused("unsupported_audio"))
add("384-kilohertz.wav", lambda _: _wav(rate_hz=384_000, channels=1, n_bytes=80_000), refused("unsupported_audio"))
add("255-channels.wav", lambda _: _wav(rate_hz=16_000, channels=255, n_bytes=255_000), refused("unsupported_audio"))
add("65535-channels.wav", lambda _: _wav(rate_hz=16_000, channels=65_535, n_bytes=655_350), refused("unsupported_audio"))
add("no-channels.wav", lambda _: _wav(rate_hz=16_000, channels=0, n_bytes=20_000), refused("decoding_failed"))
add("no-rate.wav", lambda _: _wav(rate_hz=0, channels=1, n_bytes=20_000), refused("decoding_failed"))
add("millions-of-sample-sizes.m4a", lambda shop: _lie_about_samples(_index_first(shop)), refused("decoding_failed"))

# --- bombs ------------------------------------------------------------------------------------------------------------------

add("ten-hours-of-silence.flac", lambda shop: _silence(shop, 36_000), refused("audio_too_long"))
add("four-million-empty-boxes.mp4", lambda _: _EMPTY_MP4 + b"\0\0\0\x08free" * 4_000_000, refused("decoding_failed"))

# --- not to be heard --------------------------------------------------------------------------------------------------------

add("encrypted.mp4", lambda shop: _encrypted(shop), refused("encrypted_audio"))
add("bought.m4a", lambda shop: _index_first(shop).replace(b"mp4a", b"drms", 1), refused("encrypted_audio"))
add("video-only.mp4", lambda shop: _video(shop, "video.mp4"), refused("no_audio_track"))
add("video-only.mkv", lambda shop: _video(shop, "video.mkv"), refused("no_audio_track"))

# --- no recordings ----------------------------------------------------------------------------------------------------------

add("text.mp3", lambda _: b"hello world\n" * 500, refused("not_audio"))
add("object.json", lambda _: json.dumps({"audio": "none"}).encode(), refused("not_audio"))
add("page.html", lambda _: b"<!doctype html><html><body><audio src='canary.wav'></audio></body></html>", refused("not_audio"))
add("compressed.wav.gz", lambda shop: gzip.compress(_plain_wav(shop)), refused("not_audio"))
add("archive.zip", lambda _: b"PK\x03\x04" + random.Random(_SEED).randbytes(5_000), refused("not_audio"))
add("recordings.tar", lambda shop: _tar(shop), refused("not_audio"))
add("recordings.iso", lambda shop: bytes(32_769) + b"CD001" + bytes(2_000) + shop.recording("a.mp3"), refused("not_audio"))
add("picture.png", lambda shop: shop.picture("picture.png", "-frames:v", "1"), refused("not_audio"))
add("picture.gif", lambda shop: shop.picture("picture.gif", "-t", "1"), refused("not_audio"))
add("random.bin", lambda _: random.Random(_SEED).randbytes(300_000), refused("not_audio"))
add("frames-of-nothing.mp3", lambda _: b"\xff\xfb\x90\x64" * 50_000, refused("not_audio"))
add("program", lambda _: b"\x7fELF\x02\x01\x01" + bytes(4_000), refused("not_audio"))
add("document.pdf", lambda _: b"%PDF-1.7\n" + b"0 0 obj\n" * 400, refused("not_audio"))
# What an archive or a repository keeps of a symbolic link.
add("symbolic-link.wav", lambda shop: f"../../../../../../../..{shop.canary.path}".encode(), refused("not_audio"))
add("path.txt", lambda shop: str(shop.canary.path).encode(), refused("not_audio"))

# --- lists of other files, which ffmpeg would follow ------------------------------------------------------------------------

_HLS: Final = "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:60.0,\n{}\n#EXT-X-ENDLIST\n"
_LISTS: Final = {
    "concat-list.wav": "ffconcat version 1.0\nfile '{path}'\n",
    "concat-list-neighbour.wav": "ffconcat version 1.0\nfile canary.wav\n",
    "concat-list-upwards.wav": "ffconcat version 1.0\nfile ../../../../../../../..{path}\n",
    "concat-list-pipe.wav": "ffconcat version 1.0\nfile '{pipe}'\n",
    "concat-list-http.wav": "ffconcat version 1.0\nfile {address}\n",
    "concat-protocol.mp3": "concat:{path}|{path}",
    "subfile-protocol.mp3": "subfile,,start,0,end,0,,:{path}",
    "hls-file.mp3": _HLS.format("file://{path}"),
    "hls-neighbour.mp3": _HLS.format("canary.wav"),
    "hls-pipe.mp3": _HLS.format("file://{pipe}"),
    "hls-http.mp3": _HLS.format("{address}"),
    "hls-key-http.m3u8": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{address}"\n#EXTINF:60.0,\nfile://{path}\n#EXT-X-ENDLIST\n',
    "playlist.m3u": "#EXTM3U\n{path}\n",
    "playlist.pls": "[playlist]\nFile1={path}\nNumberOfEntries=1\n",
    "playlist.asx": "<asx version='3.0'><entry><ref href='{address}'/></entry></asx>",
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "manifest.mpd": (
        "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static' mediaPresentationDuration='PT1M'>"
        "<Period><AdaptationSet mimeType='audio/mp4'><Representation id='1' bandwidth='1'><BaseURL>{address}</BaseURL>"
        "</Representation></AdaptationSet></Period></MPD>"
    ),
    "filter-graph.txt": "amovie={path}",
    "script.avs": 'WavSource("{path}")',
}
for _name, _text in _LISTS.items():

    def _list(shop: Workshop, text: str = _text) -> bytes:
        canary = shop.canary
        for placeholder, value in {"{path}": canary.path, "{pipe}": canary.pipe, "{address}": canary.address}.items():
            text = text.replace(placeholder, str(value))
        return text.encode()

    add(_name, _list, refused("not_audio"))

# ffmpeg looks for the sound in the file itself, and finds something else there.
add("external-reference.mov", lambda shop: _external_reference(shop), refused("decoding_failed"))


def make_all(shop: Workshop) -> Iterator[tuple[str, bytes, Expected]]:
    """Several at a time: making one is mostly waiting for ffmpeg, which takes one thread."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        contents = pool.map(lambda entry: entry[0](shop), CORPUS.values())
        for (name, (_, expected)), content in zip(CORPUS.items(), contents, strict=True):
            yield name, content, expected


def playlists() -> list[str]:
    return list(_LISTS)


# --- how they are made ------------------------------------------------------------------------------------------------------


def _plain_wav(shop: Workshop) -> bytes:
    """With a header of 44 bytes."""
    return shop.recording("plain.wav", "-bitexact", "-map_metadata", "-1")


def _index_first(shop: Workshop) -> bytes:
    return shop.recording("first.m4a", "-movflags", "+faststart")


def _fragmented(shop: Workshop) -> bytes:
    """A fragment a second, none of which knows of the others."""
    flags = "+frag_keyframe+empty_moov+default_base_moof"
    return shop.recording("fragments.mp4", "-c:a", "aac", "-movflags", flags, "-frag_duration", "1000000")


def _half_of_frames(shop: Workshop) -> bytes:
    """Without the frame that says how many there are; cut where one begins."""
    content = shop.recording("frames.mp3", "-write_xing", "0", "-id3v2_version", "0", "-write_id3v1", "0")
    return content[: content.index(content[:2], len(content) // 2)]


def _without_middle(aac: bytes) -> bytes:
    third = len(aac) // 3
    return aac[:third] + bytes(third) + aac[2 * third :]


def _floats(first: float, second: float, n_bytes: int = 4) -> bytes:
    """Four seconds of two values by turns, as floating-point samples."""
    rate_hz, layout = 16_000, {4: "<ff", 8: "<dd"}[n_bytes]
    form = struct.pack("<HHIIHH", 3, 1, rate_hz, rate_hz * n_bytes, n_bytes, 8 * n_bytes)
    data = struct.pack(layout, first, second) * (2 * rate_hz)
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def _flip(content: bytes, n_bytes: int = 200) -> bytes:
    """Some bytes turned over, none in the first third, where the headers are."""
    chosen, flipped = random.Random(_SEED), bytearray(content)
    for _ in range(n_bytes):
        flipped[chosen.randrange(len(content) // 3, len(content))] ^= 0xFF
    return bytes(flipped)


def _overwrite(m4a: bytes) -> bytes:
    start = m4a.index(b"mdat") + 4
    return m4a[:start] + b"\xff" * (len(m4a) - start)


def _hole(content: bytes) -> bytes:
    third = len(content) // 3
    return content[:third] + bytes(2_000) + content[third + 2_000 :]


def _with_cover(shop: Workshop, name: str) -> bytes:
    """With a picture of some megabytes that does not compress."""
    picture = shop.folder / f"{name}.png"
    picture.write_bytes(_noise_png(1200))
    cover = ("-i", str(picture), "-map", "0:a", "-map", "1:v", "-c:v", "copy", "-disposition:v", "attached_pic")
    return shop.recording(name, *cover)


def _noise_png(size: int) -> bytes:
    """size: rows and columns, of three random bytes each. Source of the chunks: the PNG specification."""
    row = 1 + 3 * size
    pixels = bytearray(random.Random(_SEED).randbytes(row * size))
    pixels[::row] = bytes(size)  # each row says that it is not filtered
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels, 0)), (b"IEND", b""))
    parts = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _tar(shop: Workshop) -> bytes:
    """An MP3 decoder finds the recordings in it by itself, and takes them for one."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("first.mp3", "second.mp3"):
            content = shop.recording("a.mp3")
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _two_tracks(shop: Workshop) -> bytes:
    second = ("-f", "lavfi", "-i", "sine=d=3:r=16000")
    return shop.recording("two.mka", *second, "-map", "0:a", "-map", "1:a")


def _video(shop: Workshop, name: str) -> bytes:
    return shop.make(name, "-f", "lavfi", "-i", "testsrc=d=1:s=64x64:r=5")


def _encrypted(shop: Workshop) -> bytes:
    key = ("-encryption_key", "00112233445566778899aabbccddeeff", "-encryption_kid", "112233445566778899aabbccddeeff00")
    return shop.recording("encrypted.mp4", "-encryption_scheme", "cenc-aes-ctr", *key)


def _silence(shop: Workshop, seconds: int) -> bytes:
    # In blocks as long as FLAC allows: ten hours of them are made in two seconds.
    block = 65_535
    return shop.make("long.flac", "-f", "lavfi", "-i", f"anullsrc=r=8000:cl=mono:n={block}:d={seconds}")


def _wav(rate_hz: int, channels: int, n_bytes: int) -> bytes:
    """8 bits a sample, all silent."""
    form = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * channels & 0xFFFF_FFFF, channels & 0xFFFF, 8)
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", n_bytes) + b"\x80" * n_bytes
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def _set_data_size(wav: bytes, n_bytes: int) -> bytes:
    at = wav.index(b"data") + 4
    return wav[:at] + struct.pack("<I", n_bytes) + wav[at + 4 :]


def _many_chunks(shop: Workshop) -> bytes:
    wav = _plain_wav(shop)
    return wav[:36] + b"junk\x02\0\0\0xx" * 10_000 + wav[36:]


def _declare_flac_samples(flac: bytes, n_samples: int) -> bytes:
    """n_samples: 36 bits, behind the 28 of rate, channels and sample size. Source: RFC 9639, 8.2."""
    at = 8 + 10
    (packed,) = struct.unpack_from(">Q", flac, at)
    return flac[:at] + struct.pack(">Q", packed >> 36 << 36 | n_samples) + flac[at + 8 :]


def _lie_about_samples(m4a: bytes) -> bytes:
    """stsz with four thousand million sizes, of which a few hundred are there."""
    at = m4a.index(b"stsz") + 12
    return m4a[:at] + b"\xff\xff\xff\xf0" + m4a[at + 4 :]


def _external_reference(shop: Workshop) -> bytes:
    """The sound is said to lie in another file: the box of its address grows by what the path needs."""
    m4a = _index_first(shop)
    address = struct.pack(">I", 0) + f"file://{shop.canary.path}".encode() + b"\0"
    entry = struct.pack(">I4s", 8 + len(address), b"url ") + address
    at = m4a.index(b"dref") - 4
    grown = m4a[:at] + struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry + m4a[at + 28 :]
    added = len(entry) - 12
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        start = grown.index(name) - 4
        (size,) = struct.unpack_from(">I", grown, start)
        grown = grown[:start] + struct.pack(">I", size + added) + grown[start + 4 :]
    return grown
