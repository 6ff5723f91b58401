"""What a file that cannot be read is, by its first bytes: a recording that was cut off or damaged, or something else."""

from enum import Enum, auto
from typing import Final, NamedTuple


class Kind(Enum):
    """ACCEPTED: such a file is incomplete or damaged."""

    ACCEPTED = auto()
    OTHER_SOUND = auto()
    ARCHIVE = auto()
    LIST = auto()
    NO_SOUND = auto()


# Offset, bytes there, name.
_ACCEPTED: Final = (
    (8, b"WAVE", "WAV"),
    (8, b"AVI ", "AVI"),
    (0, b"fLaC", "FLAC"),
    (0, b"OggS", "Ogg"),
    (0, b"\x1aE\xdf\xa3", "WebM or Matroska"),
    (4, b"ftyp", "MP4 or M4A"),
    (0, b"FORM", "AIFF"),
    (0, b"caff", "CAF"),
    (0, b"wvpk", "WavPack"),
    (0, b"ID3", "MP3"),
)
_OTHER_SOUND: Final = (
    (0, b"TTA1", "a TTA file"),
    (0, b"TTA2", "a TTA file"),
    (0, b"\x7f\xfe\x80\x01", "a DTS file"),
    (0, b"\xfe\x7f\x01\x80", "a DTS file"),
    (0, b"\x1f\xff\xe8\x00", "a DTS file"),
    (0, b"\xff\x1f\x00\xe8", "a DTS file"),
    (0, b"MAC ", "a Monkey's Audio file"),
    (0, b"MPCK", "a Musepack file"),
    (0, b"DSD ", "a DSF file"),
    (0, b".RMF", "a RealMedia file"),
    (0, b"MThd", "a MIDI file"),
)
_ARCHIVES: Final = (
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ", "an xz archive"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (0, b"!<arch>\n", "an ar archive"),
    (0, b"070701", "a cpio archive"),
    (0, b"070707", "a cpio archive"),
    (257, b"ustar", "a tar archive"),
    (32_769, b"CD001", "a disk image"),
)
_LISTS: Final = (
    (0, b"#EXTM3U", "a playlist"),
    (0, b"[playlist]", "a playlist"),
    (0, b"<asx", "a playlist"),
    (0, b"ffconcat", "a list of files"),
)
_NO_SOUND: Final = (
    (0, b"%PDF", "a PDF document"),
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"GIF8", "a GIF picture"),
    (8, b"WEBP", "a WebP picture"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
    (0, b"\xff\xfe", "text in UTF-16"),
    (0, b"\xfe\xff", "text in UTF-16"),
)
_KINDS: Final = (
    (Kind.ACCEPTED, _ACCEPTED),
    (Kind.OTHER_SOUND, _OTHER_SOUND),
    (Kind.ARCHIVE, _ARCHIVES),
    (Kind.LIST, _LISTS),
    (Kind.NO_SOUND, _NO_SOUND),
)

# As much of a text as is looked at; what may be in one besides printable characters.
_TEXT_BYTES: Final = 1000
_CONTROLS: Final = b"\t\n\r\f"


class Beginning(NamedTuple):
    """name: of a format that is accepted, or of something else, with its article."""

    name: str
    kind: Kind


def find_beginning(content: bytes | bytearray) -> Beginning | None:
    for kind, known in _KINDS:
        for at, mark, name in known:
            if content[at : at + len(mark)] == mark:
                return Beginning(name, kind)
    return Beginning("text", Kind.NO_SOUND) if _is_text(content[:_TEXT_BYTES]) else None


def _is_text(start: bytes | bytearray) -> bool:
    """Whether it is UTF-8, but for a character that is cut off at its end, without the controls that no text has."""
    text = bytes(start).decode("utf-8", "ignore").encode()
    return len(start) > 1 and len(start) - len(text) < 4 and all(byte >= 32 or byte in _CONTROLS for byte in text)
