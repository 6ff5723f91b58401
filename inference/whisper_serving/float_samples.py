"""Whether a recording of floating-point samples holds no numbers: ffmpeg makes silence of them, without a word."""

from typing import Final

import numpy as np

# ffmpeg's names of what is not compressed. Compressed sound has no such values.
_TYPES: Final = {"pcm_f32le": "<f4", "pcm_f32be": ">f4", "pcm_f64le": "<f8", "pcm_f64be": ">f8"}

_BLOCK_BYTES: Final = 1024 * 1024

# Headers between the samples shift them, so that a quarter or an eighth is where it is looked for. Of any other bytes, one in
# 256 looks like NaN or infinity.
_SHARE: Final = 0.1


def holds_no_numbers(content: bytes | bytearray, codec: str) -> bool:
    """Whether a stretch of NaN or infinity is among the samples. False for codecs without such values.

    content: the file as it is; where the samples begin is not known.
    """
    dtype = np.dtype(_TYPES.get(codec, "u1"))
    if dtype.kind != "f":
        return False
    view = memoryview(content)
    return any(
        _share_of_no_numbers(view[start + offset : start + _BLOCK_BYTES], dtype) > _SHARE
        for start in range(0, len(content), _BLOCK_BYTES)
        for offset in range(dtype.itemsize)
    )


def _share_of_no_numbers(block: memoryview, dtype: np.dtype[np.floating]) -> float:
    values = np.frombuffer(block, dtype, count=len(block) // dtype.itemsize)
    return float(1 - np.isfinite(values).mean()) if len(values) else 0.0
