"""Memory that runs out, and a GPU that fails. No GPU is here: torch's own errors are raised where torch would raise them."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import torch

from tests.serving.conftest import PROJECT, Context
from whisper_serving.hardware_failures import retry_with_less_memory
from whisper_serving.transcriber import Transcriber
from whisperstack_contract.errors import ErrorDocument, OutOfMemoryError
from whisperstack_contract.transcript import Transcript

pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*tiktoken:ResourceWarning")

Invoke = Callable[..., str]
_OUT_OF_MEMORY = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
)


@pytest.fixture
def memory_for(exact_model: Transcriber) -> Iterator[Callable[[int], list[int]]]:
    """Lets the decoder take so many rows at once; more are as on a GPU that is full. Returns the sizes that were tried."""
    hooks = []

    def memory_for(most_rows: int) -> list[int]:
        tried: list[int] = []

        def look(_module: object, inputs: tuple[torch.Tensor, ...]) -> None:
            if inputs[0].shape[0] not in tried[-1:]:
                tried.append(inputs[0].shape[0])
            if inputs[0].shape[0] > most_rows:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

        hooks.append(exact_model._engine._model.decoder.register_forward_pre_hook(look))
        return tried

    yield memory_for
    for hook in hooks:
        hook.remove()


def test_where_memory_is_short_one_smaller_batch_is_tried(
    invoke_exact: Invoke, jfk: bytes, with_options: Callable[[str], Context], memory_for: Callable[[int], list[int]]
) -> None:
    greedy = Transcript.from_json(invoke_exact(jfk, None))
    tried = memory_for(1)
    transcript = Transcript.from_json(invoke_exact(jfk, with_options('{"beam_size": 3}')))
    assert tried == [3, 1]
    # A beam of one is the greedy search.
    assert transcript.text == greedy.text


def test_where_memory_is_short_even_so_the_error_is_typed_and_retryable(
    invoke_exact: Invoke, jfk: bytes, context: Context, memory_for: Callable[[int], list[int]]
) -> None:
    memory_for(0)
    error = ErrorDocument.from_json(invoke_exact(jfk, context))
    assert error is not None
    assert (error.code, error.retryable) == ("out_of_memory", True)
    assert "larger instance" in error.message
    assert context.status == (503, "Service Unavailable")


@pytest.mark.parametrize("error", _OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_every_way_of_running_out_of_memory_is_known(error: Exception) -> None:
    tried = []

    def run(size: int) -> str:
        tried.append(size)
        if size > 2:
            raise error
        return "done"

    assert retry_with_less_memory(run, (8, 4, 2, 1)) == "done"
    assert tried == [8, 4, 2]
    with pytest.raises(OutOfMemoryError, match="batch of 4"):
        retry_with_less_memory(run, (8, 4))


def test_other_errors_are_not_tried_again() -> None:
    def run(_size: int) -> None:
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        retry_with_less_memory(run, (2, 1))


_WORKER = """
import threading
from whisper_serving.response import answer
from whisperstack_contract.inference_options import InferenceOption

def work():
    raise RuntimeError({message!r})

print(answer(work, None, InferenceOption.REAL_TIME), flush=True)
if threading.active_count() > 1:
    threading.Event().wait(30)
print("goes on")
"""


def _serve(message: str) -> "subprocess.CompletedProcess[str]":
    script = _WORKER.format(message=message)
    environment = {"PYTHONPATH": f"{PROJECT / 'inference'}:{PROJECT / 'contract'}"}
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: device-side assert triggered",
        "CUDA error: an illegal memory access was encountered",
    ],
)
def test_a_worker_whose_gpu_is_lost_answers_and_ends(message: str) -> None:
    worker = _serve(message)
    error = ErrorDocument.from_json(worker.stdout)
    assert error is not None
    assert (error.code, error.retryable) == ("gpu_lost", True)
    assert worker.returncode == 70
    assert "Traceback" in worker.stderr


def test_a_worker_with_any_other_error_lives() -> None:
    worker = _serve("shape mismatch")
    assert '"inference_failed"' in worker.stdout
    assert worker.stdout.endswith("goes on\n")
    assert worker.returncode == 0
