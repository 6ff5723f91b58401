"""The models that are measured, built as for an endpoint and loaded as its handler loads them."""

import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final

from bench.packing import write_checkpoint
from model_build.artefact import build_artefact
from model_build.packages import ContainerPackages
from model_build.progress import Progress
from model_build.sources import CheckpointSource, PackageSource, Source
from whisper_serving.engines import load_engine
from whisper_serving.settings import Settings
from whisper_serving.transcriber import Transcriber
from whisperstack_contract.variables import EXACT, FAST, MODEL_DIGEST, NUMERICS

PROJECT: Final = Path(__file__).resolve().parents[1]

# Of no archive: what is measured goes nowhere.
_DIGEST: Final = "0" * 64


def load_transcriber(engine: str, model: str, progress: Progress) -> Transcriber:
    """engine: an archive's, or 'fast' and 'huggingface-fast' for the faster ways to run one. Raises BuildError."""
    archive = engine.removesuffix(f"-{FAST}")
    chosen = settings(FAST if engine.endswith(FAST) else EXACT)
    return Transcriber(
        load_engine(unpacked_archive("pytorch" if archive == FAST else archive, model, progress), chosen), chosen
    )


def unpacked_archive(engine: str, model: str, progress: Progress) -> Path:
    """Built from the package with its weights into build/bench/ unless it is there. Raises BuildError."""
    return _unpacked(engine, model, PackageSource.find(model), progress)


def random_archive(engine: str, model: str, progress: Progress) -> Path:
    """The same with random weights, for sizes of which no package has any: they load as trained ones do."""
    checkpoint = PROJECT / "build" / "bench" / f"random-{model}.pt"
    if not checkpoint.is_file():
        progress.stage(f"Making random weights of {model}")
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        unfinished = checkpoint.with_suffix(".new")
        write_checkpoint(unfinished, model)
        unfinished.replace(checkpoint)
    return _unpacked(engine, model, CheckpointSource(checkpoint, "none", "nobody"), progress)


def _unpacked(engine: str, model: str, source: Source, progress: Progress) -> Path:
    folder = PROJECT / "build" / "bench" / f"{engine}-{model}"
    # The packages for the container would only be unpacked.
    with tempfile.TemporaryDirectory(prefix="whisper-bench-") as temporary:
        nothing = Path(temporary) / "nothing.txt"
        nothing.write_text("")
        packages = ContainerPackages(nothing, Path(temporary))
        built = build_artefact(engine, model, source, packages, folder, PROJECT, progress)
        unpacked = folder / "model"
        if built.rebuilt or not unpacked.is_dir():
            with tarfile.open(folder / "model.tar.gz") as archive:
                archive.extractall(unpacked, filter="data")
    return unpacked


def settings(numerics: str = EXACT) -> Settings:
    return Settings.from_environment({MODEL_DIGEST: _DIGEST, NUMERICS: numerics})


def load_original(model: str, progress: Progress) -> Any:
    """openai-whisper's own model object, of the same weights."""
    transcriber: Any = load_transcriber("pytorch", model, progress)
    return transcriber._engine._model
