"""What `inspect` shows, for people and for programs."""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from model_build.artefact import BuiltArtefact
from model_build.cli import app
from tests.artefacts.forgery import Forgery, link


def _inspect(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def _json(path: Path) -> Any:
    result = _inspect(path, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_built_artefact_is_shown_to_programs(build_toy: Callable[..., BuiltArtefact]) -> None:
    built = build_toy()
    shown = _json(built.folder)
    assert (shown["sha256"], shown["archive_bytes"]) == (built.release.digest, built.release.archive_bytes)
    assert (shown["release_agrees"], shown["release"]) == (True, "agrees")
    assert (shown["manifest"]["engine"], shown["manifest"]["model"]) == ("pytorch", "toy")
    assert shown["manifest"]["source"]["licence"] == "MIT"
    with tarfile.open(built.folder / "model.tar.gz") as archive:
        assert {entry["name"]: entry["size_bytes"] for entry in shown["files"]} == {info.name: info.size for info in archive}
    digests = {entry["name"]: entry["sha256"] for entry in shown["files"] if entry["name"] != "whisperstack.json"}
    assert digests == shown["manifest"]["files"]


def test_a_built_artefact_is_shown_to_people(build_toy: Callable[..., BuiltArtefact], tmp_path: Path) -> None:
    built = build_toy()
    result = _inspect("--model", "toy", "--output-root", tmp_path / "out")
    assert result.exit_code == 0, result.output
    shown = dict(
        line.split(None, 1) for line in result.stdout.splitlines() if not line.startswith((" ", "source sha", "built"))
    )
    assert shown["sha256"] == built.release.digest
    assert shown["release.json"] == "agrees"
    assert (shown["engine"], shown["model"], shown["licence"], shown["source"]) == ("pytorch", "toy", "MIT", "ctranslate2, toy")
    assert "code/inference.py\n" in result.stdout
    assert "(" not in result.stdout


def test_what_is_wrong_with_an_archive_is_shown(tmp_path: Path) -> None:
    forgery = Forgery(
        release={"digest": "0" * 64}, entries=[link("code/link.py", tarfile.SYMTYPE), link("\x1b[2J", tarfile.FIFOTYPE)]
    )
    forgery.files["code/extra.py"] = b""
    forgery.files["code/inference.py"] = b"other"
    del forgery.files["whisper.pt"]
    path = forgery.write(tmp_path)
    result = _inspect(path)
    assert result.exit_code == 0, result.output
    for line in (
        "code/link.py  (symbolic link)",
        r"'\x1b[2J'  (named pipe)",
        "code/extra.py  (not in the manifest)",
        "code/inference.py  (not the content that the manifest says)",
        "-  whisper.pt  (in the manifest only)",
    ):
        assert line in result.stdout
    assert "release.json beside it says " + "0" * 64 in result.stdout
    shown = _json(path)
    assert (shown["release_agrees"], shown["missing"]) == (False, ["whisper.pt"])


def test_an_archive_without_a_release_can_be_looked_at(tmp_path: Path) -> None:
    path = Forgery().write(tmp_path)
    (tmp_path / "release.json").unlink()
    assert _json(path)["release_agrees"] is False


def test_nothing_is_written_and_torch_is_not_needed(tmp_path: Path, project: Path) -> None:
    path = Forgery().write(tmp_path / "artefact")
    (tmp_path / "scratch").mkdir()
    script = (
        "import sys\nsys.modules.update(torch=None, whisper=None)\nfrom model_build.cli import app\n"
        "app(sys.argv[1:], standalone_mode=False)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{project}:{project / 'contract'}", "TMPDIR": str(tmp_path / "scratch")}
    for arguments in (["inspect", str(path)], ["list"]):
        subprocess.run(
            [sys.executable, "-c", script, *arguments], check=True, env=environment, cwd=tmp_path, capture_output=True
        )
    written = {found.relative_to(tmp_path).as_posix() for found in tmp_path.rglob("*")}
    assert written == {"artefact", "artefact/model.tar.gz", "artefact/release.json", "scratch"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "is no whole tar.gz archive"), (b"no archive", "is no gzip file"), (None, "there is no archive")],
)
def test_what_is_no_archive_is_refused(content: bytes | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "model.tar.gz"
    if content is not None:
        path.write_bytes(content)
    result = _inspect(path, "--json")
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stdout == ""
