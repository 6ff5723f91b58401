"""How long a WAV file says it is, and whether it ends there.

ffmpeg reports the length of what is there, so a WAV that was cut off looks whole to it. The header still knows.
Source of the layout: Microsoft and IBM, Multimedia Programming Interface and Data Specifications 1.0, RIFF WAVE; EBU Tech 3306
for RF64, whose sizes beyond 32 bits stand in a chunk of their own.
"""

import struct
from typing import Final

_CHUNK: Final = struct.Struct("<4sI")
_BYTE_RATE: Final = struct.Struct("<8xI")  # fmt chunk: format u16, channels u16, sample rate u32, bytes per second u32

_SIZES_64: Final = struct.Struct("<8xQ")  # ds64 chunk: size of the file u64, of the data u64

# Programs that write to a pipe cannot know the size and put one near the signed or the unsigned maximum, or 0.
_SMALLEST_PLACEHOLDER_BYTES: Final = 0x7FFF_0000
_MOST_CHUNKS: Final = 64
_IN_DS64: Final = 0xFFFF_FFFF


def declared_wav_seconds(content: bytes | bytearray) -> float | None:
    """Seconds by the header; None where `content` is no WAV or its header leaves it open."""
    if not _is_wav(content, 0):
        return None
    position, bytes_per_second, size_in_ds64 = 12, 0, 0
    for _ in range(_MOST_CHUNKS):
        if position + _CHUNK.size > len(content):
            return None
        name, size_bytes = _CHUNK.unpack_from(content, position)
        position += _CHUNK.size
        if name == b"data":
            if size_in_ds64 and size_bytes == _IN_DS64:
                return size_in_ds64 / bytes_per_second if bytes_per_second else None
            known = 0 < size_bytes < _SMALLEST_PLACEHOLDER_BYTES and bytes_per_second > 0
            return size_bytes / bytes_per_second if known else None
        if name == b"fmt " and position + _BYTE_RATE.size <= len(content):
            (bytes_per_second,) = _BYTE_RATE.unpack_from(content, position)
        if name == b"ds64" and position + _SIZES_64.size <= len(content):
            (size_in_ds64,) = _SIZES_64.unpack_from(content, position)
        position += size_bytes + size_bytes % 2  # chunks start at even bytes
    return None


def bytes_of_next_wav(content: bytes | bytearray) -> int:
    """How much a WAV file is followed by that is a WAV file again: ffmpeg reads the first. 0 where nothing such follows."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return 0
    _, size_bytes = _CHUNK.unpack_from(content)
    if not 0 < size_bytes < _SMALLEST_PLACEHOLDER_BYTES:
        return 0
    # Not every program counts the byte that makes an odd chunk even.
    ends = (_CHUNK.size + size_bytes, _CHUNK.size + size_bytes + 1)
    return next((len(content) - end for end in ends if _is_wav(content, end)), 0)


def _is_wav(content: bytes | bytearray, position: int) -> bool:
    return content[position : position + 4] in (b"RIFF", b"RF64") and content[position + 8 : position + 12] == b"WAVE"
