"""How long a WAV file says it is.

ffmpeg reports the length of what is there, so a WAV that was cut off looks whole to it. The header still knows.
Source of the layout: Microsoft and IBM, Multimedia Programming Interface and Data Specifications 1.0, RIFF WAVE.
"""

import struct
from typing import Final

_CHUNK: Final = struct.Struct("<4sI")
_BYTE_RATE: Final = struct.Struct("<8xI")  # fmt chunk: format u16, channels u16, sample rate u32, bytes per second u32

# Programs that write to a pipe cannot know the size and put one near the signed or the unsigned maximum, or 0.
_SMALLEST_PLACEHOLDER_BYTES: Final = 0x7FFF_0000
_MOST_CHUNKS: Final = 64


def declared_wav_seconds(content: bytes | bytearray) -> float | None:
    """Seconds by the header; None where `content` is no WAV or its header leaves it open."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return None
    position, bytes_per_second = 12, 0
    for _ in range(_MOST_CHUNKS):
        if position + _CHUNK.size > len(content):
            return None
        name, size_bytes = _CHUNK.unpack_from(content, position)
        position += _CHUNK.size
        if name == b"data":
            known = 0 < size_bytes < _SMALLEST_PLACEHOLDER_BYTES and bytes_per_second > 0
            return size_bytes / bytes_per_second if known else None
        if name == b"fmt " and position + _BYTE_RATE.size <= len(content):
            (bytes_per_second,) = _BYTE_RATE.unpack_from(content, position)
        position += size_bytes + size_bytes % 2  # chunks start at even bytes
    return None
