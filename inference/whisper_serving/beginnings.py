"""What a file that cannot be read was meant to be, by its first bytes: it was cut off or damaged, and is not just no audio."""

from typing import Final

# Offset, bytes there, name.
_BEGINNINGS: Final = (
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


def find_beginning(content: bytes | bytearray) -> str | None:
    """The format's name, or None."""
    return next((name for at, mark, name in _BEGINNINGS if content[at : at + len(mark)] == mark), None)
