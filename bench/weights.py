"""The weights of one model in every form that is measured, out of the packages that hold them."""

import tarfile
import tempfile
from pathlib import Path
from typing import Final

from bench.peers import Weights
from model_build.artefact import build_artefact
from model_build.ctranslate2_folder import write_ctranslate2_folder
from model_build.packages import ContainerPackages
from model_build.progress import Progress
from model_build.sources import PackageSource

PROJECT: Final = Path(__file__).resolve().parents[1]


def prepare_weights(model: str, progress: Progress) -> Weights:
    """Below build/bench/, made unless they are there. Raises BuildError for a model that no package holds."""
    root = PROJECT / "build" / "bench" / model
    source = PackageSource.find(model)
    ctranslate2 = root / "ctranslate2"
    if not (ctranslate2 / "model.bin").is_file():
        ctranslate2.mkdir(parents=True, exist_ok=True)
        write_ctranslate2_folder(source.load(progress), model, ctranslate2)
    return Weights(_archive("pytorch", model, root, progress), _archive("huggingface", model, root, progress), ctranslate2)


def _archive(engine: str, model: str, root: Path, progress: Progress) -> Path:
    folder = root / engine
    # What the container needs besides would only be unpacked.
    with tempfile.TemporaryDirectory(prefix="whisper-bench-") as temporary:
        nothing = Path(temporary) / "nothing.txt"
        nothing.write_text("")
        packages = ContainerPackages(nothing, Path(temporary))
        built = build_artefact(engine, model, PackageSource.find(model), packages, folder, PROJECT, progress)
        unpacked = folder / "model"
        if built.rebuilt or not unpacked.is_dir():
            with tarfile.open(folder / "model.tar.gz") as archive:
                archive.extractall(unpacked, filter="data")
    return unpacked
