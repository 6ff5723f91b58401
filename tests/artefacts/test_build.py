"""What a built artefact holds, and when it is built again."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model_build.artefact import BuiltArtefact, build_artefact
from model_build.errors import BuildError
from model_build.packages import ContainerPackages
from model_build.sources import PackageSource
from tests.artefacts.conftest import LOCK, write_wheel
from whisper_serving.vendored import interpreter_tag
from whisperstack_contract.artefact import ArchiveManifest, ReleaseManifest

Build = Callable[..., BuiltArtefact]

_READ_FROM_ARCHIVE = """
import sys
sys.path.insert(0, sys.argv[1] + "/code")
import inference
model = inference.model_fn(sys.argv[1])
print(inference.transform_fn(model, open(sys.argv[2], "rb").read(), "audio/mpeg", "application/json"))
"""


def _unpack(artefact: BuiltArtefact, folder: Path) -> Path:
    with tarfile.open(artefact.folder / "model.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_archive_holds_weights_handler_contract_and_manifest(tiny_en: BuiltArtefact, project: Path) -> None:
    with tarfile.open(tiny_en.folder / "model.tar.gz") as archive:
        names = archive.getnames()
    contract = {f"code/whisperstack_contract/{path.name}" for path in (project / "contract").rglob("*.py")}
    assert {"whisper.pt", "whisperstack.json", "code/inference.py", "code/whisper_serving/audio.py"} | contract <= set(names)
    assert {f"code/vendor/cp312-manylinux_x86_64/{name}" for name in ("whisper/__init__.py", "numba/__init__.py")} <= set(names)
    # The container would install a requirements.txt, from a network that it does not have.
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", "requirements.txt"))]
    assert names == ["whisperstack.json", *sorted(set(names) - {"whisperstack.json"})]


def test_the_manifest_has_the_digest_of_every_other_file(tiny_en: BuiltArtefact, tmp_path: Path) -> None:
    folder = _unpack(tiny_en, tmp_path)
    manifest = ArchiveManifest.from_json((folder / "whisperstack.json").read_bytes())
    files = {path.relative_to(folder).as_posix(): _digest(path) for path in folder.rglob("*") if path.is_file()}
    assert manifest.files == {name: digest for name, digest in files.items() if name != "whisperstack.json"}
    assert manifest.source.licence == "MIT"
    assert set(manifest.built_with) == {"torch", "openai-whisper", "zlib"}


def test_the_weights_are_exactly_dims_and_state_dict(tiny_en: BuiltArtefact, tmp_path: Path) -> None:
    weights = torch.load(_unpack(tiny_en, tmp_path) / "whisper.pt", weights_only=True)
    assert set(weights) == {"model_state_dict", "dims"}
    assert weights["dims"]["n_vocab"] == 51_864


def test_the_release_manifest_describes_the_archive(tiny_en: BuiltArtefact) -> None:
    release = ReleaseManifest.from_json((tiny_en.folder / "release.json").read_bytes())
    archive = tiny_en.folder / "model.tar.gz"
    assert (release.digest, release.archive_bytes, release.example) == (_digest(archive), archive.stat().st_size, False)


def test_an_archive_serves_with_nothing_but_itself_on_the_path(tiny_en: BuiltArtefact, tmp_path: Path, project: Path) -> None:
    folder = _unpack(tiny_en, tmp_path)
    finished = subprocess.run(
        [sys.executable, "-I", "-c", _READ_FROM_ARCHIVE, str(folder), str(project / "samples" / "jfk.mp3")],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "WHISPERSTACK_MODEL_DIGEST": tiny_en.release.digest},
    )
    assert "ask not what your country can do for you" in finished.stdout


def test_the_engine_is_imported_from_the_packages_in_the_archive(build_toy: Build, tmp_path: Path) -> None:
    folder = _unpack(build_toy(), tmp_path / "model")
    package = folder / "code" / "vendor" / interpreter_tag() / "tiktoken"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('this is the archive itself')")
    finished = subprocess.run(
        [sys.executable, "-I", "-c", _READ_FROM_ARCHIVE, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "WHISPERSTACK_MODEL_DIGEST": "0" * 64},
    )
    assert "ImportError: this is the archive itself" in finished.stderr


def test_the_manifest_names_the_packages(build_toy: Build, tmp_path: Path) -> None:
    folder = _unpack(build_toy(), tmp_path / "model")
    vendored = ArchiveManifest.from_json((folder / "whisperstack.json").read_bytes()).vendored
    assert vendored.versions == {"toy": "1.0"}
    assert (folder / vendored.folder / "toy" / "__init__.py").is_file()


def test_the_same_weights_and_code_give_the_same_bytes(
    tiny_en: BuiltArtefact, tmp_path: Path, project: Path, progress: object
) -> None:
    packages = ContainerPackages.of(project, LOCK)
    again = build_artefact("pytorch", "tiny.en", PackageSource.find("tiny.en"), packages, tmp_path / "again", project, progress)
    assert again.rebuilt
    assert (again.folder / "model.tar.gz").read_bytes() == (tiny_en.folder / "model.tar.gz").read_bytes()


def test_another_day_in_another_place_gives_the_same_bytes(
    build_toy: Build, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "checkout"
    for room in ("inference", "contract"):
        shutil.copytree(project / room, checkout / room)
    for path in checkout.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (86_400, 86_400))
    first = build_toy()
    long_after = time.time() + 400 * 86_400
    monkeypatch.setattr(time, "time", lambda: long_after)
    for name, value in {"TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "1", "LC_ALL": "C", "PYTHONHASHSEED": "7"}.items():
        monkeypatch.setenv(name, value)
    before = os.umask(0o077)
    try:
        second = build_toy(project_root=checkout, folder=tmp_path / "elsewhere")
    finally:
        os.umask(before)
    assert second.rebuilt
    assert second.release == first.release


def test_only_the_weights_lie_in_the_archive_uncompressed(build_toy: Build, toy_model: object) -> None:
    import numpy as np

    toy_model.variables["decoder/embeddings/weight"] = np.zeros((100_000, 8), np.float16)
    archive = (build_toy().folder / "model.tar.gz").read_bytes()
    assert bytes(60_000) in archive
    assert b"def transform_fn" not in archive


def test_nothing_is_written_while_nothing_changed(build_toy: Build) -> None:
    first = build_toy()
    written = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    second = build_toy()
    assert (first.rebuilt, second.rebuilt) == (True, False)
    assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == written


def test_torch_is_not_imported_while_nothing_changed(build_toy: Build, project: Path, tmp_path: Path) -> None:
    build_toy(packages=ContainerPackages.of(project, LOCK))
    arguments = ["build", "--source", "ctranslate2", "--path", str(tmp_path / "toy"), "--licence", "MIT", "--model", "toy"]
    script = (
        "import sys\nfrom model_build.cli import app\napp(sys.argv[1:], standalone_mode=False)\nprint('torch' in sys.modules)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script, *arguments, "--output-root", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": f"{project}:{project / 'contract'}"},
    )
    assert "is up to date" in finished.stdout
    assert finished.stdout.splitlines()[-1] == "False"


def test_changed_code_makes_another_artefact(build_toy: Build, project: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for room in ("inference", "contract"):
        shutil.copytree(project / room, checkout / room)
    first = build_toy(project_root=checkout)
    (checkout / "inference" / "whisper_serving" / "extra.py").write_text("ANSWER = 42\n")
    second = build_toy(project_root=checkout)
    assert second.rebuilt
    assert second.release.digest != first.release.digest


def test_other_packages_make_another_artefact(build_toy: Build, tmp_path: Path) -> None:
    first = build_toy()
    sha256 = write_wheel(tmp_path / "wheels", {"toy/__init__.py": "ANSWER = 43\n"}, "toy-1.1-py3-none-any.whl")
    (tmp_path / "requirements.txt").write_text(f"toy==1.1 --hash=sha256:{sha256}\n")
    second = build_toy()
    assert second.rebuilt
    assert second.release.digest != first.release.digest


def test_changed_weights_make_another_artefact(build_toy: Build, toy_model: object) -> None:
    first = build_toy()
    toy_model.variables["encoder/conv1/bias"][0] += 1
    assert build_toy().release.digest != first.release.digest


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: content[:-1] + b"\x77", lambda _: b""])
def test_a_damaged_archive_is_built_again(build_toy: Build, damage: Callable[[bytes], bytes]) -> None:
    first = build_toy()
    archive = first.folder / "model.tar.gz"
    archive.write_bytes(damage(archive.read_bytes()))
    second = build_toy()
    assert second.rebuilt
    assert second.release == first.release


class _Interrupting:
    """Stands for Ctrl-C while the archive is being written."""

    def stage(self, description: str, total_bytes: int | None = None) -> None: ...

    def advance(self, _: int) -> None:
        raise KeyboardInterrupt


def test_an_interrupted_build_leaves_nothing(build_toy: Build, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        build_toy(progress=_Interrupting())
    assert not (tmp_path / "out").exists()


def test_an_interrupted_build_leaves_the_previous_artefact(build_toy: Build, toy_model: object) -> None:
    first = build_toy()
    kept = {path.name: path.read_bytes() for path in first.folder.iterdir()}
    toy_model.variables["encoder/conv1/bias"][0] += 1
    with pytest.raises(KeyboardInterrupt):
        build_toy(progress=_Interrupting())
    assert {path.name: path.read_bytes() for path in first.folder.iterdir()} == kept


def test_a_terminated_build_leaves_nothing(tmp_path: Path, project: Path) -> None:
    folder = tmp_path / "pytorch" / "tiny.en"
    command = [sys.executable, "-m", "model_build", "build", "--source", "package", "--output-root", str(tmp_path)]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not list(folder.glob(".building-*/model.tar.gz")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def _build_into(output_root: Path, project: Path, limit: str = "") -> "subprocess.CompletedProcess[str]":
    command = (
        f"{limit} exec {sys.executable} -m model_build build --source package --engine huggingface --output-root {output_root}"
    )
    return subprocess.run(["/bin/bash", "-c", command], cwd=project, capture_output=True, text=True, check=False)


def test_a_folder_that_cannot_be_written_is_one_sentence(project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finished = _build_into(tmp_path / "file" / "below", project)
    assert finished.returncode == 2
    assert f"cannot be written to {tmp_path}/file/below/huggingface/tiny.en (Not a directory); make room" in finished.stderr
    assert "--output-root" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_disk_without_room_is_one_sentence_and_leaves_nothing(project: Path, tmp_path: Path) -> None:
    finished = _build_into(tmp_path / "out", project, limit="ulimit -f 20000;")
    assert (finished.returncode, finished.stderr.count("Error: ")) == (2, 1), finished.stderr
    assert "Traceback" not in finished.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "moment"),
    [
        # Each import has a line: this one comes before those that take their time.
        (["-X", "importtime"], "typer.models"),
        ([], "Checking for changes …"),
        ([], "Unpacking the container's packages …"),
        ([], "Reading the weights …"),
        ([], "Writing the archive …"),
    ],
)
def test_ctrl_c_ends_with_a_sentence_whenever_it_comes(project: Path, tmp_path: Path, options: list[str], moment: str) -> None:
    command = [
        sys.executable,
        *options,
        "-m",
        "model_build",
        "build",
        "--source",
        "package",
        "--output-root",
        str(tmp_path / "out"),
    ]
    with subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any(moment in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told.splitlines()[-1]) == (130, "Interrupted; nothing half-made is left.")
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []


def test_a_checkout_without_the_handler_is_refused(build_toy: Build, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"has no inference\.py"):
        build_toy(project_root=tmp_path)
