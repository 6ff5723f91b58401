"""An openai-whisper checkpoint: the model's dimensions and its tensors, checked against each other."""

import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch

from model_build.errors import BuildError
from model_build.shapes import DIMENSIONS, expected_shapes


@dataclass(frozen=True)
class Checkpoint:
    """dims: as openai-whisper's ModelDimensions. state: its state dict, in whatever float type the weights came in."""

    dims: dict[str, int]
    state: dict[str, torch.Tensor]


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a .pt file whose hash has been checked. Raises BuildError where it is no Whisper checkpoint."""
    try:
        # Mapped where the format allows it, so that memory stays flat.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        return Checkpoint(dict(content["dims"]), dict(content["model_state_dict"]))
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, ValueError, EOFError) as error:
        # Without torch's own text, which advises to load such a file unsafely.
        raise BuildError(f"{path.name} is no openai-whisper checkpoint; delete it and build again") from error


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Writes exactly `dims` and `model_state_dict`; the same checkpoint under the same file name gives the same bytes.

    (torch puts the file's stem into the file.) Raises BuildError where tensors and dimensions do not fit together.
    """
    check_checkpoint(checkpoint)
    torch.save({"dims": checkpoint.dims, "model_state_dict": checkpoint.state}, path)


def check_checkpoint(checkpoint: Checkpoint) -> None:
    """Raises BuildError naming the first dimension or tensor that openai-whisper would not take."""
    if set(checkpoint.dims) != set(DIMENSIONS):
        raise BuildError(f"the dimensions are {sorted(checkpoint.dims)}; a Whisper model has {sorted(DIMENSIONS)}")
    for name, value in checkpoint.dims.items():
        if not isinstance(value, int) or value < 1:
            raise BuildError(f"the dimension {name} is {value!r}; it must be a whole number above 0")
    _check_heads(checkpoint.dims)
    expected = expected_shapes(checkpoint.dims)
    if missing := sorted(set(expected) - set(checkpoint.state)):
        raise BuildError(f"the weights lack {', '.join(missing[:3])}; they are no Whisper model, or not whole")
    if surplus := sorted(set(checkpoint.state) - set(expected)):
        raise BuildError(f"the weights hold {', '.join(surplus[:3])}, which Whisper does not have; they are another model's")
    for name, shape in expected.items():
        if (found := tuple(checkpoint.state[name].shape)) != shape:
            raise BuildError(f"{name} has the shape {list(found)}; these dimensions ask for {list(shape)}")


def _check_heads(dims: dict[str, int]) -> None:
    if dims["n_audio_state"] != dims["n_text_state"]:
        raise BuildError(f"the encoder is {dims['n_audio_state']} wide, the decoder {dims['n_text_state']}; they must be equal")
    for side in ("audio", "text"):
        width, heads = dims[f"n_{side}_state"], dims[f"n_{side}_head"]
        if width % heads:
            raise BuildError(f"a width of {width} cannot be shared by {heads} {side} attention heads")
