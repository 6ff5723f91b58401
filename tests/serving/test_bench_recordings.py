"""What `make accuracy` and `make speech-detection` say of recordings that they cannot measure, and what they leave behind."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bench import accuracy, speech_detection
from tests.serving.conftest import DIGEST, PROJECT, wav
from whisper_serving.audio import decode
from whisper_serving.settings import Settings

ENTRY = {"file": "talk.wav", "language": "en", "reference": "Ask not."}


@pytest.mark.parametrize("app", [accuracy.app, speech_detection.app])
@pytest.mark.parametrize(
    ("manifest", "content", "sentence"),
    [
        (None, None, "manifest.json cannot be read (No such file or directory)"),
        ("[", None, "manifest.json is no list of objects with file, language and reference"),
        ('{"file": "talk.wav"}', None, "manifest.json is no list of objects"),
        ("[]", None, "manifest.json names no recording"),
        (json.dumps([ENTRY]), None, "manifest.json names 'talk.wav', which cannot be read: No such file or directory"),
        (json.dumps([ENTRY]), b"hello", "talk.wav: the file is text, and no audio or video"),
    ],
)
def test_what_cannot_be_measured_is_named_in_a_sentence(
    tmp_path: Path, app: typer.Typer, manifest: str | None, content: bytes | None, sentence: str
) -> None:
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    if content is not None:
        (tmp_path / "talk.wav").write_bytes(content)
    result = CliRunner().invoke(app, [str(tmp_path)])
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("option", "sentence"), [("--engine", "--engine abacus is not known; choose from"), ("--model", "abacus")]
)
def test_what_is_no_engine_or_model_is_named_in_a_sentence(tmp_path: Path, option: str, sentence: str) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps([ENTRY]))
    (tmp_path / "talk.wav").write_bytes(wav(np.zeros(16_000, np.float32)))
    result = CliRunner().invoke(accuracy.app, [str(tmp_path), option, "abacus"])
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_recordings_of_a_language_are_heard_as_one_in_orders_that_every_run_has() -> None:
    recordings = [
        accuracy.Recording(f"{number}.wav", language, f"{language} {number}", wav(np.zeros(16_000, np.float32)))
        for number, language in enumerate(["en", "en", "en", "es"])
    ]
    settings = Settings.from_environment({"WHISPERSTACK_MODEL_DIGEST": DIGEST})
    rows = accuracy.joined(recordings, 4)
    assert [row.language for row in rows] == ["en"] * 4
    assert all(sorted(row.reference.split()) == ["0", "1", "2", "en", "en", "en"] for row in rows)
    assert len({row.reference for row in rows}) > 1
    assert len(decode(rows[0].content, settings).samples) == 3 * (16_000 + 8_000)
    assert accuracy.joined(recordings, 4) == rows


def test_sigterm_removes_what_is_temporary(tmp_path: Path) -> None:
    script = """
import signal, tempfile
from bench.interruption import end_on_sigterm
end_on_sigterm()
with tempfile.TemporaryDirectory():
    print("ready", flush=True)
    signal.pause()
"""
    temporary = tmp_path / "of the command"
    temporary.mkdir()
    environment = {"PYTHONPATH": "contract:inference", "TMPDIR": str(temporary)}
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        assert list(temporary.iterdir())
        run.send_signal(signal.SIGTERM)
        assert run.wait(timeout=60) == 128 + signal.SIGTERM
    assert list(temporary.iterdir()) == []
