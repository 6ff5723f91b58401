"""Which engine runs an archive: its manifest says."""

from pathlib import Path
from typing import Final

from whisper_serving.settings import Settings
from whisper_serving.transcriber import Engine
from whisper_serving.weights import read_manifest
from whisperstack_contract.errors import ModelUnavailableError
from whisperstack_contract.variables import FAST

_ENGINES: Final = ("pytorch", "huggingface")


def load_engine(model_folder: Path, settings: Settings) -> Engine:
    """Raises ModelUnavailableError where the archive is not whole, not what was built, or for an engine that is not known."""
    engine = read_manifest(model_folder).engine
    if engine not in _ENGINES:
        raise ModelUnavailableError(f"the archive is for the engine {engine!r}; this version runs {' and '.join(_ENGINES)}")
    # Imported here: torch and the engine's framework take seconds, and only one of the frameworks is in an image.
    if settings.numerics == FAST:
        from whisper_serving.fast_engine import FastEngine

        return FastEngine.load(model_folder, settings.hardware, settings.chunk_length_seconds)
    if engine == "huggingface":
        from whisper_serving.huggingface_engine import HuggingFaceEngine

        return HuggingFaceEngine.load(model_folder, settings.hardware, settings.chunk_length_seconds)
    from whisper_serving.pytorch_engine import PytorchEngine

    return PytorchEngine.load(model_folder, settings.hardware)
