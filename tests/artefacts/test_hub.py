"""Weights from a model hub, for which a server on this machine stands."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from model_build.archive import read_manifest
from model_build.artefact import BuiltArtefact, build_artefact
from model_build.convert_ctranslate2 import convert
from model_build.ctranslate2 import parse_model
from model_build.errors import BuildError
from model_build.hub import HubSource
from model_build.huggingface_names import to_huggingface
from model_build.packages import ContainerPackages
from model_build.progress import Progress
from tests.artefacts.conftest import NoProgress, make_toy_model
from tests.artefacts.file_server import FileServer
from tests.artefacts.model_hub import Hub
from whisperstack_contract.weight_names import CONFIGURATION_OF_DIMENSIONS

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "me/mine"


def _toy_files() -> dict[str, bytes]:
    checkpoint = convert(parse_model(bytearray(make_toy_model().to_bytes())))
    configuration = {its_name: checkpoint.dims[name] for name, its_name in CONFIGURATION_OF_DIMENSIONS.items()}
    return {
        "config.json": json.dumps({"model_type": "whisper", **configuration}).encode(),
        "model.safetensors": save({name: tensor.contiguous() for name, tensor in to_huggingface(checkpoint).items()}),
        "README.md": b"# mine",
    }


@pytest.fixture
def hub(file_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub(REPOSITORY, COMMIT, _toy_files())
    file_server.answer = hub
    monkeypatch.setenv("HF_ENDPOINT", file_server.address)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    return hub


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_a_revision_is_resolved_to_its_commit_and_recorded(revision: str) -> None:
    source = HubSource.find(REPOSITORY, revision, NoProgress())
    described = source.describe()
    assert (described.kind, described.name, described.revision) == ("hub", REPOSITORY, COMMIT)
    assert (described.licence, described.author) == ("apache-2.0", "me")
    assert source.load(NoProgress()).dims["n_text_layer"] == 2


def test_only_what_is_needed_is_downloaded_once_and_counted(hub: Hub, file_server: FileServer) -> None:
    told: list[tuple[str, int | None]] = []

    class Told(NoProgress):
        def stage(self, description: str, total_bytes: int | None = None) -> None:
            told.append((description, total_bytes))

    source = HubSource.find(REPOSITORY, COMMIT, Told())
    asked = len(file_server.requests)
    source.load(Told())
    assert len(file_server.requests) == asked + 2
    assert ("Downloading model.safetensors", len(hub.files["model.safetensors"])) in told
    source.load(Told())
    assert len(file_server.requests) == asked + 2


def test_weights_that_are_not_what_the_hub_states_are_refused_and_deleted(hub: Hub) -> None:
    got = hashlib.sha256(hub.files["model.safetensors"]).hexdigest()
    hub.stated["model.safetensors"] = "0" * 64
    source = HubSource.find(REPOSITORY, COMMIT, NoProgress())
    with pytest.raises(
        BuildError, match=rf"model\.safetensors of me/mine at {COMMIT} arrived with .* {got}; the hub says 0{{64}}"
    ):
        source.load(NoProgress())
    hub.stated.clear()
    assert HubSource.find(REPOSITORY, COMMIT, NoProgress()).load(NoProgress()).dims["n_vocab"] == 11


@pytest.mark.usefixtures("hub")
def test_a_broken_connection_is_made_again(file_server: FileServer) -> None:
    source = HubSource.find(REPOSITORY, COMMIT, NoProgress())
    asked = len(file_server.requests)
    file_server.break_after, file_server.breaks_once = 100, True
    assert source.load(NoProgress()).dims["n_vocab"] == 11
    assert len(file_server.requests) == asked + 3


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("repository", "revision", "sentence"),
    [
        ("me/other", "main", r"did not give me/other at main: "),
        (REPOSITORY, "nowhere", r"did not give me/mine at nowhere: "),
        ("../etc", "main", r"is '\.\./etc'|did not give"),
    ],
)
def test_what_the_hub_does_not_have_is_named(repository: str, revision: str, sentence: str) -> None:
    with pytest.raises(BuildError, match=sentence):
        HubSource.find(repository, revision, NoProgress())


def test_without_the_hub_a_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(BuildError, match=r"did not give me/mine at main: .* use --source folder with what is on this machine"):
        HubSource.find(REPOSITORY, "main", NoProgress())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda hub: setattr(hub, "lfs", False), r"states no SHA-256 of model\.safetensors"),
        (lambda hub: hub.files.pop("config.json"), r"has no config\.json"),
        (lambda hub: hub.files.pop("model.safetensors"), "has no weights: neither"),
    ],
)
def test_a_repository_that_holds_no_model_is_refused(hub: Hub, change: Callable[[Hub], Any], sentence: str) -> None:
    change(hub)
    with pytest.raises(BuildError, match=sentence):
        HubSource.find(REPOSITORY, "main", NoProgress())


def test_weights_in_several_files_are_fetched_and_checked(hub: Hub, progress: Progress) -> None:
    from safetensors.torch import load

    state = load(hub.files.pop("model.safetensors"))
    halves = {f"model-{half}.safetensors": dict(list(state.items())[half::2]) for half in (0, 1)}
    hub.files |= {name: save(part) for name, part in halves.items()}
    index = {"weight_map": {tensor: name for name, part in halves.items() for tensor in part}}
    hub.files["model.safetensors.index.json"] = json.dumps(index).encode()
    source = HubSource.find(REPOSITORY, "main", progress)
    assert set(source.weights) == set(halves)
    loaded = source.load(progress).state
    assert torch.equal(loaded["encoder.conv1.bias"], state["model.encoder.conv1.bias"])


@pytest.mark.usefixtures("hub")
def test_the_commit_stands_in_the_archive(tmp_path: Path, toy_packages: ContainerPackages, project: Path) -> None:
    def build() -> BuiltArtefact:
        source = HubSource.find(REPOSITORY, "main", NoProgress())
        return build_artefact("pytorch", "mine", source, toy_packages, tmp_path / "out", project, NoProgress())

    manifest = read_manifest(build().folder / "model.tar.gz")
    assert manifest is not None
    assert manifest.source.revision == COMMIT
    assert not build().rebuilt
