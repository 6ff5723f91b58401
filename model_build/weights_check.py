"""Whether a weights file, whose SHA-256 has been checked, is the checkpoint that openai-whisper loads."""

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any, Final

import torch

from model_build.checkpoint import Checkpoint, check_checkpoint
from model_build.errors import BuildError

_KEYS: Final = {"dims", "model_state_dict"}

# What torch.load has been seen to raise for damaged files, or does by its source.
_UNREADABLE: Final = (
    pickle.UnpicklingError, RuntimeError, LookupError, TypeError, ValueError, AttributeError, AssertionError, EOFError,
    OSError, ArithmeticError, MemoryError,
)  # fmt: skip


def check_weights(path: Path, what: str) -> None:
    """what: how a message calls the file. Raises BuildError where these are no weights of the dimensions they come with."""
    remedy = "build the artefact again"
    content = _load(path, what, remedy)
    if not isinstance(content, dict) or set(content) != _KEYS or not all(isinstance(part, dict) for part in content.values()):
        raise BuildError(f"{what} are not exactly {' and '.join(sorted(_KEYS))}; {remedy}")
    dims, state = content["dims"], content["model_state_dict"]
    if not all(isinstance(name, str) for name in (*dims, *state)):
        raise BuildError(f"{what} have a name that is no text; {remedy}")
    if strange := sorted(name for name, values in state.items() if not _is_weights(values)):
        raise BuildError(f"{what} hold {strange[0]!r}, which is no tensor of floating-point numbers; {remedy}")
    if any(isinstance(dims.get(name), int) and dims[name] > len(state) for name in ("n_audio_layer", "n_text_layer")):
        raise BuildError(f"{what} have more layers in their dims than tensors; {remedy}")
    try:
        check_checkpoint(Checkpoint(dims, state))
    except BuildError as error:
        raise BuildError(f"{what} do not fit their dims: {error}; {remedy}") from error


def _load(path: Path, what: str, remedy: str) -> Any:
    try:
        with warnings.catch_warnings():
            # A damaged file may look like one of an old torch, which warns.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except _UNREADABLE as error:
        # Without torch's own text, which advises to load such a file unsafely.
        raise BuildError(f"{what} are no file that torch loads without running code from it; {remedy}") from error


def _is_weights(values: object) -> bool:
    return isinstance(values, torch.Tensor) and values.is_floating_point()
