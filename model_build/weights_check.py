"""Whether weights, whose SHA-256 has been checked, are a whole Whisper model as their engine loads it."""

from pathlib import Path
from typing import Final

import torch

from model_build.checkpoint import Checkpoint, check_checkpoint, load_tensors
from model_build.convert_ctranslate2 import convert
from model_build.ctranslate2 import open_model
from model_build.errors import BuildError
from model_build.huggingface_names import from_huggingface
from model_build.huggingface_source import CONFIGURATION, read_json

_KEYS: Final = {"dims", "model_state_dict"}
_REMEDY: Final = "build the artefact again"


def check_checkpoint_file(path: Path, what: str) -> dict[str, int]:
    """The dims of a whisper.pt. what: how a message calls the weights. Raises BuildError where they do not fit their dims."""
    content = load_tensors(path, f"{what} are no file that torch loads without running code from it; {_REMEDY}")
    if not isinstance(content, dict) or set(content) != _KEYS or not all(isinstance(part, dict) for part in content.values()):
        raise BuildError(f"{what} are not exactly {' and '.join(sorted(_KEYS))}; {_REMEDY}")
    dims, state = content["dims"], content["model_state_dict"]
    if not all(isinstance(name, str) for name in (*dims, *state)):
        raise BuildError(f"{what} have a name that is no text; {_REMEDY}")
    _check(Checkpoint(dims, state), what)
    return dict(dims)


def check_huggingface_folder(folder: Path, what: str) -> dict[str, int]:
    """The dims of a save_pretrained folder with model.safetensors. Raises BuildError where weights and config.json differ."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(folder / "model.safetensors")
    except (SafetensorError, OSError, ValueError) as error:
        raise BuildError(f"{what} are no whole safetensors file ({error}); {_REMEDY}") from error
    try:
        checkpoint = from_huggingface(state, read_json(folder / CONFIGURATION))
    except BuildError as error:
        raise BuildError(f"{what} do not fit their {CONFIGURATION}: {error}; {_REMEDY}") from error
    _check(checkpoint, what)
    return checkpoint.dims


def check_ctranslate2_folder(folder: Path, what: str) -> dict[str, int]:
    """The dims of a CTranslate2 folder. Raises BuildError where model.bin is no whole Whisper model."""
    try:
        checkpoint = convert(open_model(folder))
    except BuildError as error:
        raise BuildError(f"{what} are no Whisper model of CTranslate2: {error}; {_REMEDY}") from error
    _check(checkpoint, what)
    return checkpoint.dims


def _check(checkpoint: Checkpoint, what: str) -> None:
    if strange := sorted(name for name, values in checkpoint.state.items() if not _is_weights(values)):
        raise BuildError(f"{what} hold {strange[0]!r}, which is no tensor of floating-point numbers; {_REMEDY}")
    try:
        check_checkpoint(checkpoint)
    except BuildError as error:
        raise BuildError(f"{what} do not fit their dims: {error}; {_REMEDY}") from error


def _is_weights(values: object) -> bool:
    return isinstance(values, torch.Tensor) and values.is_floating_point()
