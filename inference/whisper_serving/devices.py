"""Where a model runs. On a GPU instance nothing falls back to the CPU in silence: it would be many times slower, and dear."""

from typing import Final

import torch

from whisperstack_contract.errors import ModelUnavailableError
from whisperstack_contract.variables import GPU, HARDWARE

_CUDA: Final = torch.device("cuda")
_CPU: Final = torch.device("cpu")


def choose_device(hardware: str | None) -> torch.device:
    """hardware: what the endpoint was deployed on, or None where nobody said. Raises ModelUnavailableError without its GPU."""
    if torch.cuda.is_available():
        return _CUDA
    if hardware == GPU:
        raise ModelUnavailableError(
            f"{HARDWARE} is {GPU!r}, but torch {torch.__version__} can use no GPU here; choose an InferenceAmiVersion whose "
            "driver is new enough for the image's CUDA, or deploy on a CPU instance with the CPU image"
        )
    return _CPU
