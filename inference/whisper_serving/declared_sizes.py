"""Whether a file was cut off, by the sizes that its container declares. ffmpeg reports the length of what is there.

Sources of the layouts: Microsoft and IBM, Multimedia Programming Interface and Data Specifications 1.0 (RIFF, of AVI); Sony,
Wave64 specification; Apple, Core Audio Format specification 1.0; Microsoft, Advanced Systems Format 01.20.03 (of WMA).
"""

import struct
from typing import Final

from whisper_serving.isobmff import missing_mp4_bytes

_W64: Final = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_ASF: Final = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_SIZE_OFFSET: Final = 40  # in the properties, after their GUID, their size, and the file's own GUID
_ASF_HEADER_BYTES: Final = 64 * 1024  # the properties are among the first objects

_CAF_FIRST_CHUNK: Final = 8
_CAF_CHUNK: Final = struct.Struct(">4sq")
_MOST_CHUNKS: Final = 64

# A program that writes to a pipe puts 0 or about the largest number of 32 bits.
_SMALLEST_PLACEHOLDER_BYTES: Final = 0x7FFF_0000


def missing_bytes(content: bytes | bytearray) -> int:
    """How much larger an AVI, W64, CAF or WMA file says it is, or the sound of an MP4 or M4A. 0 for other files."""
    declared = _declared_bytes(content)
    return missing_mp4_bytes(content) if declared is None else max(0, declared - len(content))


def _declared_bytes(content: bytes | bytearray) -> int | None:
    if content[:4] == b"RIFF" and content[8:12] == b"AVI ":
        size = _read("<I", content, 4)
        return None if not size or size >= _SMALLEST_PLACEHOLDER_BYTES else size + 8
    if content[:16] == _W64:
        return _read("<Q", content, 16)
    if content[:4] == b"caff":
        return _caf_bytes(content)
    if content[:16] == _ASF:
        at = content.find(_ASF_PROPERTIES, 0, _ASF_HEADER_BYTES)
        return None if at < 0 else _read("<Q", content, at + _ASF_SIZE_OFFSET)
    return None


def _caf_bytes(content: bytes | bytearray) -> int | None:
    position = _CAF_FIRST_CHUNK
    for _ in range(_MOST_CHUNKS):
        if position + _CAF_CHUNK.size > len(content):
            return None
        name, size_bytes = _CAF_CHUNK.unpack_from(content, position)
        if size_bytes < 0:  # to the end of the file
            return None
        position += _CAF_CHUNK.size + int(size_bytes)
        if name == b"data":
            return position
    return None


def _read(layout: str, content: bytes | bytearray, position: int) -> int | None:
    if position + struct.calcsize(layout) > len(content):
        return None
    (value,) = struct.unpack_from(layout, content, position)
    return int(value)
