"""An openai-whisper checkpoint: the model's dimensions and its tensors, checked against each other."""

import pickle
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

import torch

from model_build.errors import BuildError
from model_build.mapped_memory import ReleasingFile
from whisperstack_contract.weight_shapes import DIMENSIONS, expected_shapes

# What torch.load has been seen to raise for damaged files, or does by its source.
UNREADABLE: Final = (
    pickle.UnpicklingError, RuntimeError, LookupError, TypeError, ValueError, AttributeError, AssertionError, EOFError,
    OSError, ArithmeticError, MemoryError, zipfile.BadZipFile,
)  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """dims: as openai-whisper's ModelDimensions. state: its state dict, in whatever float type the weights came in.

    alignment_heads: (layer, head) of the cross-attention that follows the audio, where the source says. folder: the
    save_pretrained folder that the weights came from, whose tokenizer and generation settings belong to them.
    """

    dims: dict[str, int]
    state: dict[str, torch.Tensor]
    alignment_heads: tuple[tuple[int, int], ...] | None = None
    folder: Path | None = None

    @property
    def float_type(self) -> str:
        """Such as float16: of the token embedding, the largest tensor."""
        return str(self.state["decoder.token_embedding.weight"].dtype).removeprefix("torch.")


def load_checkpoint(path: Path, remedy: str) -> Checkpoint:
    """Reads a .pt file without running code from it. Raises BuildError where it is no Whisper checkpoint."""
    content = load_tensors(path, f"{path} is no openai-whisper checkpoint; {remedy}")
    try:
        dims, state = dict(content["dims"]), dict(content["model_state_dict"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BuildError(
            f"{path} is no openai-whisper checkpoint: it must hold 'dims' and 'model_state_dict'; {remedy}"
        ) from error
    if strange := [name for name, values in state.items() if not isinstance(values, torch.Tensor)]:
        raise BuildError(f"{path} holds {strange[0]!r}, which is no tensor; {remedy}")
    return Checkpoint(dims, state)


def load_tensors(path: Path, sentence: str) -> Any:
    """What torch.save wrote, tensors and plain values only. Raises BuildError with `sentence` where it is anything else."""
    try:
        with warnings.catch_warnings():
            # A damaged file may look like one of an old torch, which warns.
            warnings.simplefilter("ignore")
            # Mapped where the format allows it, so that memory stays flat.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except UNREADABLE as error:
        # Without torch's own text, which advises to load such a file unsafely.
        raise BuildError(sentence) from error


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Writes exactly `dims` and `model_state_dict`; the same checkpoint gives the same bytes.

    Raises BuildError where tensors and dimensions do not fit together.
    """
    check_checkpoint(checkpoint)
    # In openai-whisper's order, whatever the source's was.
    dims = {name: checkpoint.dims[name] for name in DIMENSIONS}
    state = {name: _alone(checkpoint.state[name]) for name in expected_shapes(dims)}
    with path.open("wb") as file:
        # Of a file object torch takes no name into what it writes.
        torch.save({"dims": dims, "model_state_dict": state}, cast("IO[bytes]", ReleasingFile(file, state.values())))


def _alone(tensor: torch.Tensor) -> torch.Tensor:
    """Numbers in order, in a storage with nothing else: torch saves whole storages."""
    plain = tensor.detach().contiguous()
    return plain if plain.untyped_storage().nbytes() == plain.nbytes else plain.clone()


def check_checkpoint(checkpoint: Checkpoint) -> None:
    """Raises BuildError naming the first dimension or tensor that openai-whisper would not take."""
    if set(checkpoint.dims) != set(DIMENSIONS):
        raise BuildError(f"the dimensions are {sorted(checkpoint.dims)}; a Whisper model has {sorted(DIMENSIONS)}")
    for name, value in checkpoint.dims.items():
        if not isinstance(value, int) or value < 1:
            raise BuildError(f"the dimension {name} is {value!r}; it must be a whole number above 0")
    _check_heads(checkpoint.dims)
    # Before anything is counted out from them: they may be anybody's numbers.
    if max(checkpoint.dims["n_audio_layer"], checkpoint.dims["n_text_layer"]) > len(checkpoint.state):
        raise BuildError("the weights have more layers in their dims than tensors; they are no Whisper model, or not whole")
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
