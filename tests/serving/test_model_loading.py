"""A model that is not the one that was built does not serve."""

import json
import os
import re
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.serving.conftest import DIGEST, Context
from whisper_serving.settings import Settings, SettingsError
from whisper_serving.silence import has_sound
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


def test_the_checked_file_is_read_from_its_start(model_folder: Path) -> None:
    with checked_weights(model_folder, read_manifest(model_folder)) as file:
        assert file.read(2) == b"PK"


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


def test_recordings_of_four_hours_are_taken_unless_told_otherwise() -> None:
    assert Settings.from_environment({"WHISPERSTACK_MODEL_DIGEST": DIGEST}).max_audio_seconds == 14_400
    environment = {"WHISPERSTACK_MODEL_DIGEST": DIGEST, "WHISPERSTACK_MAX_AUDIO_SECONDS": "90.5"}
    assert Settings.from_environment(environment).max_audio_seconds == 90.5


def _tone(amplitude: float, seconds: float) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * 220 * np.arange(int(seconds * 16_000)) / 16_000)).astype(np.float32)


# A sine's root mean square is 3 dB below its amplitude.
@pytest.mark.parametrize(("dbfs", "heard"), [(-50, True), (-56, True), (-58, False), (-80, False)])
def test_the_gate_opens_at_minus_sixty_dbfs(dbfs: float, heard: bool) -> None:
    assert has_sound(_tone(10 ** (dbfs / 20), 1), 16_000) is heard


@given(st.integers(0, 16_000 * 300), st.booleans())
def test_one_syllable_anywhere_opens_the_gate(start: int, at_end: bool) -> None:
    syllable = _tone(0.05, 0.06)
    samples = np.zeros(start + len(syllable) + (0 if at_end else 4_000), np.float32)
    samples[start : start + len(syllable)] = syllable
    assert has_sound(samples, 16_000)


def test_the_last_part_of_a_frame_opens_the_gate() -> None:
    assert has_sound(np.concatenate([np.zeros(480 * 3, np.float32), _tone(0.05, 0.02)]), 16_000)


@pytest.mark.parametrize("n_samples", [0, 1, 479, 480, 16_000])
def test_a_constant_offset_is_no_sound(n_samples: int) -> None:
    assert not has_sound(np.full(n_samples, 0.25, np.float32), 16_000)
