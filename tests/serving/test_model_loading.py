"""A model that is not the one that was built does not serve."""

import json
import os
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.serving.conftest import DIGEST, Context
from whisper_serving.settings import Settings, SettingsError
from whisper_serving.weights import checked_weights, read_manifest
from whisperstack_contract.errors import ErrorDocument, ModelUnavailableError


@pytest.fixture
def copied(model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model to damage. Whoever gets as far as unpickling it fails the test."""

    def unpickled(*_: object, **__: object) -> None:
        pytest.fail("the weights were opened before they were checked")

    monkeypatch.setattr(torch, "load", unpickled)
    monkeypatch.setenv("WHISPERSTACK_MODEL_DIGEST", DIGEST)
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("whisperstack.json", "whisper.pt"):
        shutil.copy(model_folder / name, folder / name)
    return folder


def refusal(handler: ModuleType, folder: Path) -> str:
    """The message that every request to this model gets, with the code and status of a model that cannot be loaded."""
    context = Context()
    answer = handler.transform_fn(handler.model_fn(str(folder)), b"sound", "audio/wav", "application/json", context)
    error = ErrorDocument.from_json(answer)
    assert error is not None
    assert error == ModelUnavailableError(error.message).document()
    assert context.status == (ModelUnavailableError.http_status, "Service Unavailable")
    return error.message


def test_changed_weights_are_refused_before_they_are_opened(copied: Path, handler: ModuleType) -> None:
    with (copied / "whisper.pt").open("r+b") as file:
        file.seek(40_000_000)
        file.write(b"changed")
    assert re.search(r"'whisper\.pt' has the SHA-256 .*; the manifest says", refusal(handler, copied))


@pytest.mark.parametrize("name", ["whisperstack.json", "whisper.pt"])
def test_a_missing_file_is_named(copied: Path, handler: ModuleType, name: str) -> None:
    (copied / name).unlink()
    assert re.search(name, refusal(handler, copied))


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 1}', '{"schema": 99}'])
def test_a_manifest_of_something_else_is_refused(copied: Path, handler: ModuleType, text: str) -> None:
    (copied / "whisperstack.json").write_text(text)
    assert re.search("manifest", refusal(handler, copied))


def test_weights_without_a_digest_are_refused(copied: Path, handler: ModuleType) -> None:
    manifest = json.loads((copied / "whisperstack.json").read_text())
    del manifest["files"]["whisper.pt"]
    (copied / "whisperstack.json").write_text(json.dumps(manifest))
    assert re.search(r"no digest of 'whisper\.pt'", refusal(handler, copied))


def test_the_file_that_was_checked_is_read_whatever_takes_its_name(copied: Path) -> None:
    weights = copied / "whisper.pt"
    content = weights.read_bytes()
    with checked_weights(copied, read_manifest(copied)) as path:
        weights.unlink()
        weights.write_bytes(b"something else")
        assert Path(path).read_bytes() == content


@pytest.mark.parametrize("digest", [None, "", "abc", "G" * 64])
def test_a_model_without_its_digest_does_not_load(
    copied: Path, handler: ModuleType, monkeypatch: pytest.MonkeyPatch, digest: str | None
) -> None:
    monkeypatch.delenv("WHISPERSTACK_MODEL_DIGEST")
    if digest is not None:
        monkeypatch.setenv("WHISPERSTACK_MODEL_DIGEST", digest)
    with pytest.raises(SettingsError, match=f"WHISPERSTACK_MODEL_DIGEST is {digest or ''!r}; set it to"):
        Settings.from_environment(os.environ)
    assert "see the endpoint's log" in refusal(handler, copied)


def test_a_gpu_instance_without_a_usable_gpu_does_not_serve(
    model_folder: Path, handler: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    monkeypatch.setenv("WHISPERSTACK_MODEL_DIGEST", DIGEST)
    monkeypatch.setenv("WHISPERSTACK_HARDWARE", "gpu")
    assert "WHISPERSTACK_HARDWARE is 'gpu'" in refusal(handler, model_folder)


def test_an_archive_for_an_unknown_engine_does_not_serve(copied: Path, handler: ModuleType) -> None:
    text = (copied / "whisperstack.json").read_text().replace('"engine": "pytorch"', '"engine": "abacus"')
    (copied / "whisperstack.json").write_text(text)
    assert "the engine 'abacus'" in refusal(handler, copied)


@pytest.mark.parametrize("value", ["", "four hours", "0", "-1", "nan", "inf", "86401"])
def test_a_wrong_limit_is_named_with_what_is_allowed(value: str) -> None:
    environment = {"WHISPERSTACK_MODEL_DIGEST": DIGEST, "WHISPERSTACK_MAX_AUDIO_SECONDS": value}
    with pytest.raises(SettingsError, match=f"MAX_AUDIO_SECONDS is {value!r}; set it to seconds above 0, at most 86400"):
        Settings.from_environment(environment)


@pytest.mark.parametrize("value", ["", "half a minute", "0.5", "31", "nan"])
def test_a_chunk_that_the_model_cannot_hear_at_once_is_refused(value: str) -> None:
    environment = {"WHISPERSTACK_MODEL_DIGEST": DIGEST, "WHISPERSTACK_CHUNK_LENGTH_SECONDS": value}
    with pytest.raises(SettingsError, match=f"CHUNK_LENGTH_SECONDS is {value!r}; set it to 1 to 30 seconds"):
        Settings.from_environment(environment)


def test_recordings_of_four_hours_are_taken_unless_told_otherwise() -> None:
    assert Settings.from_environment({"WHISPERSTACK_MODEL_DIGEST": DIGEST}).max_audio_seconds == 14_400
    environment = {"WHISPERSTACK_MODEL_DIGEST": DIGEST, "WHISPERSTACK_MAX_AUDIO_SECONDS": "90.5"}
    assert Settings.from_environment(environment).max_audio_seconds == 90.5
