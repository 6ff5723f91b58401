"""Collects what the decoder writes, in memory that is taken once and only as far as it is filled."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ: Final = 16_000  # what Whisper was trained on

_FULL_SCALE: Final = 32_768  # of 16-bit samples
_SAMPLE_BYTES: Final = 2


class SampleBuffer:
    """Mono samples at 16 kHz: 230 MB an hour, as float32.

    most_seconds: how much fits; more is dropped. An array of that length is reserved at once. The system gives it memory page
    by page as it is written to, and nothing is copied in the end, so that hours of audio never exist twice.
    """

    def __init__(self, most_seconds: float) -> None:
        self._samples = np.empty(int(most_seconds * SAMPLE_RATE_HZ) + 1, dtype=np.float32)
        self._count = 0
        self._half = b""

    def append(self, block: bytes) -> None:
        """block: little-endian signed 16-bit samples. It may end within one."""
        whole = self._half + block
        length = len(whole) // _SAMPLE_BYTES * _SAMPLE_BYTES
        self._half = whole[length:]
        values = np.frombuffer(whole, dtype="<i2", count=length // _SAMPLE_BYTES)[: len(self._samples) - self._count]
        end = self._count + len(values)
        np.divide(values, _FULL_SCALE, out=self._samples[self._count : end], dtype=np.float32)
        self._count = end

    @property
    def seconds(self) -> float:
        return self._count / SAMPLE_RATE_HZ

    def take(self) -> NDArray[np.float32]:
        """float32 [n] in -1..1. Gives the rest of the reservation back; nothing can be appended afterwards."""
        samples, self._samples = self._samples, np.empty(0, dtype=np.float32)
        samples.resize(self._count, refcheck=False)
        return samples
