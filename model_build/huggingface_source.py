"""Weights from a folder that transformers' save_pretrained left, such as a fine-tuned model's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from model_build.digests import digest_of_list, sha256_of_file
from model_build.errors import BuildError
from model_build.progress import Progress
from whisperstack_contract.artefact import WeightsSource

if TYPE_CHECKING:  # torch takes two seconds to import, which an artefact that is up to date need not wait for
    import torch

    from model_build.checkpoint import Checkpoint

CONFIGURATION: Final = "config.json"
GENERATION: Final = "generation_config.json"
TOKENIZER: Final = "tokenizer.json"
# Each is read where the one before it is missing.
_SINGLE: Final = "model.safetensors"
_INDEX: Final = "model.safetensors.index.json"
_PICKLED: Final = "pytorch_model.bin"
_ADAPTER: Final = "adapter_config.json"

# What belongs to the weights and is carried into an archive for transformers.
TOKENIZER_FILES: Final = (
    TOKENIZER, "tokenizer_config.json", "vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json",
    "normalizer.json",
)  # fmt: skip


@dataclass(frozen=True)
class HuggingFaceSource:
    """A folder with config.json and the weights: model.safetensors, several with an index, or pytorch_model.bin."""

    folder: Path
    licence: str
    author: str

    def describe(self) -> WeightsSource:
        digests = {path.name: sha256_of_file(path) for path in weights_files(self.folder)}
        return WeightsSource("folder", self.folder.resolve().name, self.licence, digest_of_weights(digests), self.author)

    def load(self, progress: Progress) -> "Checkpoint":
        progress.stage("Reading the weights")
        return load_folder(self.folder)


def digest_of_weights(digests: dict[str, str]) -> str:
    """digests: name → SHA-256 of each weights file."""
    return next(iter(digests.values())) if len(digests) == 1 else digest_of_list(digests)


def weights_files(folder: Path) -> list[Path]:
    """Raises BuildError where the folder holds no whole model."""
    if not (folder / CONFIGURATION).is_file():
        lacking = "only an adapter: merge it into its model first" if (folder / _ADAPTER).is_file() else f"no {CONFIGURATION}"
        raise BuildError(f"{folder} has {lacking}; give the folder that save_pretrained of a whole Whisper model left")
    names = choose_weights(
        {path.name for path in folder.iterdir()}, lambda: (folder / _INDEX).read_bytes(), what=f"the folder {folder}"
    )
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise BuildError(f"{folder} lacks {missing[0]}, which its {_INDEX} names; copy the model again")
    return [folder / name for name in names]


def choose_weights(names: set[str], read_index: Any, what: str) -> list[str]:
    """The names of the weights files among `names`. read_index: delivers the index of weights in several files."""
    if _SINGLE in names:
        return [_SINGLE]
    if _INDEX in names:
        return _shards(read_index(), what)
    if _PICKLED in names:
        return [_PICKLED]
    raise BuildError(
        f"{what} has no weights: neither {_SINGLE}, {_INDEX} nor {_PICKLED}; "
        "save the model with save_pretrained of transformers"
    )


def _shards(index: bytes, what: str) -> list[str]:
    try:
        names = sorted(set(json.loads(index)["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BuildError(f"{_INDEX} of {what} is damaged ({error}); copy the model again") from error
    # The names come from a file of someone else's.
    if strange := [name for name in names if not isinstance(name, str) or Path(name).name != name]:
        raise BuildError(f"{_INDEX} of {what} names {strange[0]!r}, which is no file beside it; copy the model again")
    return names


def load_folder(folder: Path) -> "Checkpoint":
    """The checkpoint, which remembers its folder. Raises BuildError where the folder holds no whole Whisper model."""
    from dataclasses import replace

    from model_build.huggingface_names import from_huggingface
    from model_build.vocabulary import read_alignment_heads

    paths, configuration = weights_files(folder), read_json(folder / CONFIGURATION)
    state: dict[str, torch.Tensor] = {}
    for path in paths:
        state |= _read_tensors(path)
    checkpoint = from_huggingface(state, configuration)
    heads = read_alignment_heads(
        read_json(folder / GENERATION).get("alignment_heads") if (folder / GENERATION).is_file() else None,
        checkpoint.dims,
        f"{folder / GENERATION}",
    )
    return replace(checkpoint, alignment_heads=heads, folder=folder)


def read_json(path: Path) -> dict[str, Any]:
    """Raises BuildError where the file is no JSON object."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BuildError(f"{path} cannot be read ({error}); copy the model again") from error
    if not isinstance(content, dict):
        raise BuildError(f"{path} holds no JSON object; copy the model again")
    return content


def _read_tensors(path: Path) -> Mapping[str, "torch.Tensor"]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from model_build.checkpoint import load_tensors

    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise BuildError(f"{path} is no whole safetensors file ({error}); copy the model again") from error
    content = load_tensors(path, f"{path} holds more than tensors, or is damaged; save the model again as safetensors")
    if not isinstance(content, dict) or not all(_is_tensor(name, value) for name, value in content.items()):
        raise BuildError(f"{path} is no state dict; save the model again as safetensors")
    return content


def _is_tensor(name: object, value: object) -> bool:
    import torch

    return isinstance(name, str) and isinstance(value, torch.Tensor)
