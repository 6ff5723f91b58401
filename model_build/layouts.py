"""What an archive holds for each engine: how its weights are written and checked, what it carries, what it was built with."""

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
    check: raises BuildError unless a folder holds such weights, and returns their dims; it is told what to call them.
    needed: the other files without which the engine cannot load them. built_with: the packages whose versions the manifest
    records. has_handler: False where the image brings its own code, and takes none.
    """

    weights: str
    packages: str
    built_with: tuple[str, ...]
    write: "Callable[[Checkpoint, str, Path], None]"
    check: Callable[[Path, str], dict[str, int]]
    needed: tuple[str, ...] = ()
    has_handler: bool = True


# The package that has an ffmpeg in it, and the lock that names it beside the others of the engine pytorch.
FFMPEG_PACKAGE: Final = "imageio-ffmpeg"
_PACKAGES_WITH_FFMPEG: Final = "requirements-container-ffmpeg.txt"


def packages_of(engine: str, *, with_ffmpeg: bool) -> str:
    """The lock of what the archive carries. Raises BuildError for an ffmpeg where every image of the engine has one."""
    if not with_ffmpeg:
        return layout_of(engine).packages
    if engine != Engine.PYTORCH:
        raise BuildError(f"--with-ffmpeg is for the engine pytorch; each image that runs {engine} has an ffmpeg; leave it out")
    return _PACKAGES_WITH_FFMPEG


def layout_of(engine: str) -> Layout:
    """Raises BuildError for an engine that nothing is built for."""
    if engine not in LAYOUTS:
        raise BuildError(f"nothing is built for the engine {engine!r}; choose one of: {', '.join(LAYOUTS)}")
    return LAYOUTS[engine]


def _write_checkpoint(checkpoint: "Checkpoint", model: str, folder: Path) -> None:  # noqa: ARG001  # the layouts' signature
    from model_build.checkpoint import save_checkpoint
    from model_build.huggingface_tokenizer import require_whispers_tokenizer

    require_whispers_tokenizer(checkpoint)
    save_checkpoint(checkpoint, folder / _PYTORCH.weights)


def _write_huggingface(checkpoint: "Checkpoint", model: str, folder: Path) -> None:
    from model_build.huggingface_folder import write_huggingface_folder

    write_huggingface_folder(checkpoint, model, folder)


def _write_ctranslate2(checkpoint: "Checkpoint", model: str, folder: Path) -> None:
    from model_build.ctranslate2_folder import write_ctranslate2_folder

    write_ctranslate2_folder(checkpoint, model, folder)


def _check_checkpoint(folder: Path, what: str) -> dict[str, int]:
    from model_build.weights_check import check_checkpoint_file

    return check_checkpoint_file(folder / _PYTORCH.weights, what)


def _check_huggingface(folder: Path, what: str) -> dict[str, int]:
    from model_build.weights_check import check_huggingface_folder

    return check_huggingface_folder(folder, what)


def _check_ctranslate2(folder: Path, what: str) -> dict[str, int]:
    from model_build.weights_check import check_ctranslate2_folder

    return check_ctranslate2_folder(folder, what)


# The image has all that the engine imports.
_NOTHING: Final = "requirements-container-huggingface.txt"

_PYTORCH: Final = Layout(
    weights="whisper.pt",
    packages="requirements-container.txt",
    built_with=("torch", "openai-whisper"),
    write=_write_checkpoint,
    check=_check_checkpoint,
)
_HUGGINGFACE: Final = Layout(
    weights="model.safetensors",
    packages=_NOTHING,
    built_with=("torch", "openai-whisper", "transformers", "tokenizers", "safetensors"),
    write=_write_huggingface,
    check=_check_huggingface,
    needed=("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json"),
)
# AWS's WhisperX image: a CTranslate2 folder at the archive's root. Experimental: no handler of ours, so no transcript contract.
_WHISPERX: Final = Layout(
    weights="model.bin",
    packages=_NOTHING,
    built_with=("torch", "openai-whisper", "transformers", "tokenizers"),
    write=_write_ctranslate2,
    check=_check_ctranslate2,
    # Without the tokenizer and the features faster-whisper would ask a network for the one and guess the other.
    needed=("config.json", "preprocessor_config.json", "tokenizer.json", "vocabulary.json"),
    has_handler=False,
)

LAYOUTS: Final[Mapping[str, Layout]] = MappingProxyType(
    {Engine.PYTORCH: _PYTORCH, Engine.HUGGINGFACE: _HUGGINGFACE, Engine.WHISPERX: _WHISPERX}
)
