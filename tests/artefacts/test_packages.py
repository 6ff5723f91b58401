"""Downloading, checking and unpacking the packages that an archive carries."""

import io
import tarfile
from pathlib import Path

import pytest

from model_build.errors import BuildError
from model_build.lock import LockedPackage, read_lock
from model_build.packages import ContainerPackages
from model_build.unpacking import unpack
from tests.artefacts.conftest import NoProgress, write_wheel

TOY = LockedPackage("toy", "1.0", frozenset())


def files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_packages_in_the_cache_need_no_network(
    toy_packages: ContainerPackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("pip was started"))
    unpacked = toy_packages.unpack(tmp_path / "unpacked", NoProgress())
    assert {name: path.read_text() for name, path in unpacked.items()} == {
        "code/vendor/cp312-manylinux_x86_64/toy/__init__.py": "ANSWER = 42\n",
        "code/vendor/cp312-manylinux_x86_64/toy-1.0.dist-info/METADATA": "Name: toy\nVersion: 1.0\n",
    }


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pip that reaches nothing."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)


@pytest.mark.usefixtures("no_index")
def test_without_a_network_the_missing_package_is_named_and_nothing_is_left(toy_packages: ContainerPackages) -> None:
    (toy_packages.cache / "toy-1.0-py3-none-any.whl").unlink()
    with pytest.raises(BuildError, match=r"could not be downloaded \(.*toy==1\.0.*\); check the network and try again$"):
        toy_packages.fetch(NoProgress())
    assert list(toy_packages.cache.iterdir()) == []


@pytest.mark.usefixtures("no_index")
def test_a_changed_file_in_the_cache_is_not_used(toy_packages: ContainerPackages) -> None:
    with (toy_packages.cache / "toy-1.0-py3-none-any.whl").open("ab") as file:
        file.write(b"more")
    with pytest.raises(BuildError, match="could not be downloaded"):
        toy_packages.fetch(NoProgress())


def test_what_is_missing_is_downloaded_and_counted(toy_packages: ContainerPackages, monkeypatch: pytest.MonkeyPatch) -> None:
    index = toy_packages.cache.parent / "index"
    toy_packages.cache.rename(index)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    stages: list[str] = []
    progress = NoProgress()
    monkeypatch.setattr(progress, "stage", lambda description, *_: stages.append(description), raising=False)
    found = toy_packages.fetch(progress)
    assert [path.name for path in found.values()] == ["toy-1.0-py3-none-any.whl"]
    assert [path.name for path in toy_packages.cache.iterdir()] == ["toy-1.0-py3-none-any.whl"]
    assert stages == ["Downloading the container's packages"]


class _Interrupting(NoProgress):
    """Stands for Ctrl-C while pip is running."""

    def advance(self, _: int) -> None:
        raise KeyboardInterrupt


def test_an_interrupted_download_leaves_nothing(toy_packages: ContainerPackages) -> None:
    (toy_packages.cache / "toy-1.0-py3-none-any.whl").unlink()
    with pytest.raises(KeyboardInterrupt):
        toy_packages.fetch(_Interrupting())
    assert list(toy_packages.cache.iterdir()) == []


@pytest.mark.parametrize("line", ["toy==1.0", "toy>=1.0 --hash=sha256:" + "0" * 64, "-e .", "toy==1.0 --hash=md5:0"])
def test_a_line_without_version_or_hash_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "lock.txt").write_text(f"# a comment\n{line}\n")
    with pytest.raises(BuildError, match=r"lock\.txt has the line .* must be name==version with --hash"):
        read_lock(tmp_path / "lock.txt")


def test_a_missing_lock_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"lock\.txt cannot be read \(No such file"):
        read_lock(tmp_path / "lock.txt")


def test_a_wheel_is_unpacked_without_what_only_an_installation_needs(tmp_path: Path) -> None:
    kept = {
        "toy/__init__.py": "",
        "toy/data.bin": "x",
        "toy-1.0.dist-info/METADATA": "m",
        "toy-1.0.dist-info/licenses/deep/MIT.txt": "l",
        "toy-1.0.dist-info/LICENCE": "l",
    }
    dropped = (
        "toy/tests/test_toy.py",
        "toy/__pycache__/a.cpython-312.pyc",
        "toy-1.0.data/scripts/toy",
        "toy-1.0.data/data/man/toy.1",
    )
    dropped += tuple(
        f"toy-1.0.dist-info/{name}" for name in ("RECORD", "WHEEL", "INSTALLER", "entry_points.txt", "top_level.txt")
    )
    moved = {"toy-1.0.data/purelib/more.py": "more"}
    write_wheel(tmp_path, kept | moved | dict.fromkeys(dropped, "no"))
    unpack(TOY, tmp_path / "toy-1.0-py3-none-any.whl", tmp_path / "out")
    assert files(tmp_path / "out") == kept | {"more.py": "more"}


def write_sources(path: Path, names: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in names.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def test_sources_are_unpacked_as_a_build_would_install_them(tmp_path: Path) -> None:
    names = {
        "toy-1.0/LICENSE": "l",
        "toy-1.0/PKG-INFO": "m",
        "toy-1.0/setup.py": "raise SystemExit",
        "toy-1.0/tests/test_toy.py": "",
        "toy-1.0/toy.egg-info/top_level.txt": "toy\n",
        "toy-1.0/toy/__init__.py": "",
        "toy-1.0/toy/data.bin": "x",
    }
    unpack(TOY, write_sources(tmp_path / "toy-1.0.tar.gz", names), tmp_path / "out")
    assert files(tmp_path / "out") == {
        "toy/__init__.py": "",
        "toy/data.bin": "x",
        "toy-1.0.dist-info/METADATA": "m",
        "toy-1.0.dist-info/licenses/LICENSE": "l",
    }


def test_two_packages_cannot_hold_the_same_file(tmp_path: Path) -> None:
    write_wheel(tmp_path, {"shared.py": ""})
    unpack(TOY, tmp_path / "toy-1.0-py3-none-any.whl", tmp_path / "out")
    with pytest.raises(BuildError, match=r"shared\.py, which another package holds too"):
        unpack(TOY, tmp_path / "toy-1.0-py3-none-any.whl", tmp_path / "out")


@pytest.mark.parametrize("name", ["../evil.py", "toy/../../evil.py", "/evil.py"])
def test_a_wheel_cannot_write_elsewhere(tmp_path: Path, name: str) -> None:
    write_wheel(tmp_path, {name: ""})
    with pytest.raises(BuildError, match=r"evil\.py, which leads out of its folder"):
        unpack(TOY, tmp_path / "toy-1.0-py3-none-any.whl", tmp_path / "out")
    assert not (tmp_path / "evil.py").exists()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    for name in ("toy-1.0-py3-none-any.whl", "toy-1.0.tar.gz"):
        (tmp_path / name).write_bytes(b"no archive at all")
        with pytest.raises(BuildError, match=rf"{name} cannot be unpacked .*; delete it and build again"):
            unpack(TOY, tmp_path / name, tmp_path / "out")
