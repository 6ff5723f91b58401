"""What becomes of a request, and of the worker, when memory runs out or the GPU's context is lost."""

import gc
import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import torch

from whisperstack_contract.errors import GpuLostError, OutOfMemoryError

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

# Texts of errors that come as plain RuntimeErrors, in torch 2.6 as in 2.13.
_NO_MEMORY: Final = (
    "DefaultCPUAllocator: can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
# Whatever CUDA reports as its own error has usually spoilt the context of the whole process: every later call fails too.
_CONTEXT_LOST: Final = ("CUDA error:", "CUBLAS_STATUS_EXECUTION_FAILED", "CUDNN_STATUS_EXECUTION_FAILED")

# Until then the answer has left; requests that come meanwhile get the same answer.
_END_AFTER_SECONDS: Final = 1.0
_EXIT_CODE: Final = 70  # EX_SOFTWARE of sysexits.h


def retry_with_less_memory(run: Callable[[int], _T], batch_sizes: Sequence[int]) -> _T:
    """`run` with the first batch size; where that takes more memory than there is, with the next. Raises OutOfMemoryError."""
    for position, size in enumerate(batch_sizes):
        try:
            return run(size)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            _log.warning("out of memory at a batch of %d", size)
            if position == len(batch_sizes) - 1:
                raise OutOfMemoryError(
                    f"the recording takes more memory than this instance has, even at a batch of {size}; try again, and use a "
                    "larger instance or a smaller model if that does not help"
                ) from error
        # Here, not above: while an error is handled, it keeps the frames alive that hold the memory.
        free_memory()
    raise ValueError("there is no batch size to try")


def free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def end_worker_where_gpu_is_lost(error: BaseException) -> GpuLostError | None:
    """What to answer where `error` says that the GPU's context is lost; the process then ends, and its server replaces it.

    Nothing but a new process gets a new context. Both serving stacks start a worker anew that has ended.
    """
    lost = isinstance(error, RuntimeError) and any(text in str(error) for text in _CONTEXT_LOST)
    if not lost or _is_out_of_memory(error):
        return None
    _log.error("the GPU's context is lost; this worker ends in %g s, and is replaced", _END_AFTER_SECONDS)
    timer = threading.Timer(_END_AFTER_SECONDS, os._exit, (_EXIT_CODE,))
    timer.daemon = True
    timer.start()
    return GpuLostError("the GPU failed; the worker is being replaced; try again")


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(text in str(error) for text in _NO_MEMORY)
