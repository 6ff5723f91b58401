"""What an archive holds for each engine: how its weights are written, which packages it carries, what it was built with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from model_build.errors import BuildError
from model_build.options import Engine

if TYPE_CHECKING:  # torch takes two seconds to import, which an artefact that is up to date need not wait for
    from model_build.checkpoint import Checkpoint


@dataclass(frozen=True)
class Layout:
    """weights: the file in the archive that the engine loads. packages: the lock of what the archive carries.

    write: puts the weights and all that belongs to them into a folder whose content becomes the archive's root.
    built_with: the packages whose versions the manifest records.
    """

    weights: str
    packages: str
    built_with: tuple[str, ...]
    write: "Callable[[Checkpoint, str, Path], None]"


def layout_of(engine: str) -> Layout:
    """Raises BuildError for an engine that nothing is built for."""
    if engine not in LAYOUTS:
        raise BuildError(f"nothing is built for the engine {engine!r}; choose one of: {', '.join(LAYOUTS)}")
    return LAYOUTS[engine]


def _write_checkpoint(checkpoint: "Checkpoint", model: str, folder: Path) -> None:  # noqa: ARG001  # the layouts' signature
    from model_build.checkpoint import save_checkpoint

    save_checkpoint(checkpoint, folder / _PYTORCH.weights)


def _write_huggingface(checkpoint: "Checkpoint", model: str, folder: Path) -> None:
    from model_build.huggingface_folder import write_huggingface_folder

    write_huggingface_folder(checkpoint, model, folder)


_PYTORCH: Final = Layout(
    # torch writes the file's stem into a checkpoint, so the name is part of what makes two builds equal.
    weights="whisper.pt",
    packages="requirements-container.txt",
    built_with=("torch", "openai-whisper"),
    write=_write_checkpoint,
)
_HUGGINGFACE: Final = Layout(
    weights="model.safetensors",
    # The image has all that the engine imports.
    packages="requirements-container-huggingface.txt",
    built_with=("torch", "openai-whisper", "transformers", "tokenizers", "safetensors"),
    write=_write_huggingface,
)

LAYOUTS: Final[Mapping[str, Layout]] = MappingProxyType({Engine.PYTORCH: _PYTORCH, Engine.HUGGINGFACE: _HUGGINGFACE})
