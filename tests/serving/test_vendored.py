"""Packages in the archive are used by the interpreter that they were built for, and by no other."""

import sys
from pathlib import Path

import pytest

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
