"""Packages in the archive are used by the interpreter that they were built for, and by no other."""

import importlib
import os
import shutil
import stat
import sys
from pathlib import Path

import imageio_ffmpeg
import pytest

from whisper_serving.audio import decode
from whisper_serving.settings import Settings, SettingsError
from whisper_serving.vendored import interpreter_tag, use_vendored_packages


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """sys.path, put back afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    return sys.path


def test_the_folder_of_this_interpreter_comes_first(tmp_path: Path, path: list[str]) -> None:
    folder = tmp_path / interpreter_tag()
    folder.mkdir()
    before = list(path)
    use_vendored_packages(tmp_path)
    use_vendored_packages(tmp_path)
    assert path == [str(folder), *before]


def test_packages_for_another_interpreter_are_left_alone(
    tmp_path: Path, path: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "vendor" / "cp27-manylinux_x86_64").mkdir(parents=True)
    before = list(path)
    use_vendored_packages(tmp_path / "vendor")
    assert path == before
    assert "packages for cp27-manylinux_x86_64; this is cp3" in caplog.text


def test_a_checkout_without_packages_says_nothing(tmp_path: Path, path: list[str], caplog: pytest.LogCaptureFixture) -> None:
    before = list(path)
    use_vendored_packages(tmp_path / "vendor")
    assert path == before
    assert not caplog.records


@pytest.mark.parametrize(
    ("libc", "expected"), [("glibc", "cp312-manylinux_x86_64"), ("", "cp312-linux_x86_64"), ("musl", "cp312-linuxmusl_x86_64")]
)
def test_the_tag_names_interpreter_platform_and_machine(monkeypatch: pytest.MonkeyPatch, libc: str, expected: str) -> None:
    version = type("Version", (), {"major": 3, "minor": 12})
    monkeypatch.setattr("whisper_serving.vendored.sys.version_info", version)
    monkeypatch.setattr("whisper_serving.vendored.platform.libc_ver", lambda: (libc, "2.35"))
    monkeypatch.setattr("whisper_serving.vendored.platform.machine", lambda: "x86_64")
    assert interpreter_tag() == expected


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, path: list[str], tmp_path: Path) -> Path:
    """A vendor folder on a machine that has neither imageio-ffmpeg nor an ffmpeg on PATH."""
    path[:] = [entry for entry in path if not Path(entry, "imageio_ffmpeg").is_dir()]
    monkeypatch.setenv("PATH", str(tmp_path))
    importlib.invalidate_caches()
    return tmp_path / "vendor" / interpreter_tag()


def test_an_ffmpeg_in_the_archive_is_run_although_its_entries_have_no_modes(
    alone: Path, jfk: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    carried = alone / "imageio_ffmpeg"
    shutil.copytree(Path(imageio_ffmpeg.__file__).parent, carried, copy_function=shutil.copyfile)
    (binary,) = carried.glob("binaries/ffmpeg-*")
    binary.chmod(0o644)
    (tmp_path / "worker").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "worker"))
    monkeypatch.delitem(sys.modules, "imageio_ffmpeg")
    use_vendored_packages(alone.parent)
    settings = Settings.from_environment({"WHISPERSTACK_MODEL_DIGEST": "0" * 64})
    assert decode(jfk, settings).facts.decoded_seconds == 11
    copy = Path(settings.ffmpeg)
    assert copy.is_relative_to(tmp_path / "worker")
    # Nobody else may put another program in its place.
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
    assert not os.access(binary, os.X_OK)


@pytest.mark.usefixtures("alone")
def test_without_an_ffmpeg_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "imageio_ffmpeg")
    with pytest.raises(SettingsError, match=r"no ffmpeg here; use an image that has it, or build .* with --with-ffmpeg"):
        Settings.from_environment({"WHISPERSTACK_MODEL_DIGEST": "0" * 64})
