"""Keeps memory flat while mapped weights are read from one end to the other."""

import ctypes
import mmap
import sys
from collections.abc import Iterable
from typing import BinaryIO, Final

import torch

# Source: Linux, include/uapi/asm-generic/mman-common.h; since 5.4. Pages go back to their file and are read again when they are
# wanted, so that nothing is lost whatever the memory is; elsewhere the kernel's own judgement has to do.
_MADV_PAGEOUT: Final = 21

_RELEASED_EVERY_BYTES: Final = 64 << 20


def release(tensors: Iterable[torch.Tensor]) -> None:
    """Tells the kernel that these numbers have been read for now. Without effect where it has no such call."""
    if sys.platform != "linux":
        return
    madvise = ctypes.CDLL(None).madvise
    for tensor in tensors:
        start = -(-tensor.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        length = tensor.data_ptr() + tensor.nbytes - start
        if length > 0:
            madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_PAGEOUT)


class ReleasingFile:
    """A file to write tensors into, one after the other, that releases them as they go by."""

    def __init__(self, file: BinaryIO, tensors: Iterable[torch.Tensor]) -> None:
        self._file = file
        self._tensors = tuple(tensors)
        self._since_bytes = 0

    def write(self, content: bytes) -> int:
        self._since_bytes += len(content)
        if self._since_bytes >= _RELEASED_EVERY_BYTES:
            self._since_bytes = 0
            release(self._tensors)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()
