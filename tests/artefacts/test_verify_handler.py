"""Verification runs the archive's own handler, and nothing else of this machine's code."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from model_build.artefact import BuiltArtefact
from model_build.cli import app
from tests.artefacts.forgery import Forgery

_HANDLER = """
import json, os, sys

def model_fn(model_dir, context=None):
    assert os.path.isfile(model_dir + "/whisperstack.json") and os.path.isfile(model_dir + "/whisper.pt")
    print("handlers may print")
    return sys.path[0]

def transform_fn(model, body, content_type, accept, context=None):
    {body}
"""


def _verify(tmp_path: Path, body: str, code: str = _HANDLER) -> Result:
    (tmp_path / "recording.mp3").write_bytes(b"sound")
    forgery = Forgery()
    forgery.files["code/inference.py"] = code.format(body=body).encode()
    forgery.list_files()
    path = forgery.write(tmp_path / "artefact")
    return CliRunner().invoke(app, ["verify", str(path), "--transcribe", str(tmp_path / "recording.mp3")])


def test_real_weights_say_what_was_said(tiny_en: BuiltArtefact) -> None:
    result = CliRunner().invoke(app, ["verify", str(tiny_en.folder)])
    assert result.exit_code == 0, result.output
    assert "ask not what your country can do for you" in result.stdout
    assert "transcribed in" in result.stdout
    assert (
        f"is whole: tiny.en for pytorch, {len(_listed(tiny_en)) + 1} files, SHA-256 {tiny_en.release.digest}" in result.stdout
    )


def _listed(artefact: BuiltArtefact) -> dict[str, str]:
    from model_build.archive import read_manifest

    manifest = read_manifest(artefact.folder / "model.tar.gz")
    assert manifest is not None
    return manifest.files


def test_the_handlers_transcript_is_shown(tmp_path: Path) -> None:
    result = _verify(tmp_path, "return json.dumps({'text': body.decode() + ' of music\\x1b[2J'})")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("recording.mp3: 'sound of music\\x1b[2J'\n")


def test_the_handler_sees_nothing_of_this_project(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(project))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    body = "return json.dumps({'text': json.dumps([model, sys.path, sorted(os.environ), os.getcwd()])})"
    result = _verify(tmp_path, body)
    first, paths, names, folder = json.loads(result.stdout.splitlines()[0].removeprefix("recording.mp3: "))
    assert Path(first).name == "code"
    own_packages = [path for path in paths if path != first and not path.endswith(".zip") and "/lib/python3" not in path]
    assert own_packages == []
    assert set(names) <= {"HOME", "LC_CTYPE", "PATH", "WHISPERSTACK_MODEL_DIGEST"}
    assert not Path(folder).is_relative_to(project)


def test_the_handler_is_not_run_when_not_wanted(tmp_path: Path) -> None:
    forgery = Forgery()
    forgery.files["code/inference.py"] = f"open({str(tmp_path / 'canary')!r}, 'w')".encode()
    forgery.list_files()
    path = forgery.write(tmp_path / "artefact")
    assert CliRunner().invoke(app, ["verify", str(path), "--no-transcribe"]).exit_code == 0
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise KeyError('what')", "failed with exit code 1 (KeyError: 'what')"),
        ("import packages_that_nobody_installed", "No module named 'packages_that_nobody_installed'"),
        ("return b'bytes'", "failed with exit code 1 (TypeError"),
        ("return 'no json'", "answered 'no json', which is no transcript"),
        ("return '[1]'", "answered '[1]', which is no transcript"),
        ("return json.dumps({'error': {'code': 'not_audio', 'message': 'it is not'}})", "with not_audio: it is not"),
        ("os._exit(0)", "failed with exit code 0 (no message)"),
        ("os.kill(os.getpid(), 9)", "failed with exit code -9"),
    ],
)
def test_a_handler_that_gives_no_transcript_is_refused(body: str, sentence: str, tmp_path: Path) -> None:
    result = _verify(tmp_path, body)
    assert result.exit_code == 2, result.output
    assert sentence in result.stderr
    assert [line for line in result.stderr.splitlines() if not line.endswith(" …")] == result.stderr.splitlines()[-1:]
    assert result.stdout == ""
