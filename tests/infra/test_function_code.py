"""A function's zip: complete, small, and the same on every machine."""

import shutil
import stat
import subprocess
import sys
import zipfile
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement

from infra.errors import ConfigurationError
from infra.function_code import DISTRIBUTIONS, ROOT, SERVICES, stage_function

PACKAGES = ["submit_transcription", "record_result"]


@pytest.fixture(scope="module", params=PACKAGES)
def staged(request, tmp_path_factory):
    return request.param, stage_function(request.param, target=tmp_path_factory.mktemp(request.param) / "code.zip")


@pytest.fixture(scope="module")
def unpacked(staged, tmp_path_factory):
    """As Lambda unpacks it."""
    package, code = staged
    folder = tmp_path_factory.mktemp(f"{package}-unpacked")
    with zipfile.ZipFile(code.path) as archive:
        archive.extractall(folder)
    return package, folder


def test_the_handler_imports_with_nothing_but_the_folder(unpacked):
    package, folder = unpacked
    program = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import {package}.handler as h; assert callable(h.lambda_handler); "
        "import boto3; print(boto3.__version__, boto3.__file__)"
    )
    run = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == f"1.44.5 {folder}/boto3/__init__.py"


def test_clients_of_the_services_in_use_can_be_made(unpacked):
    _, folder = unpacked
    program = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import boto3\n"
        f"for service in {sorted(SERVICES)!r}: boto3.client(service, region_name='us-east-1')"
    )
    run = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_the_folder_is_small_and_holds_no_bytecode_and_no_other_function(unpacked):
    package, folder = unpacked
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix == ".pyc" or "__pycache__" in path.parts]
    assert sum(path.stat().st_size for path in files) < 12 * 1024**2
    assert {path.parent.name for path in folder.glob("*/handler.py")} == {package}


def test_compiled_code_is_absent_so_that_the_zip_runs_on_any_processor(unpacked):
    _, folder = unpacked
    assert not [path for path in folder.rglob("*") if path.suffix in {".so", ".pyd", ".dylib"}]


def test_every_entry_is_a_file_that_lambdas_user_may_read_and_says_nothing_of_when_it_was_made(staged):
    with zipfile.ZipFile(staged[1].path) as archive:
        entries = archive.infolist()
        assert archive.testzip() is None
    assert {stat.filemode(entry.external_attr >> 16) for entry in entries} == {"-rw-r--r--"}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert len({entry.filename for entry in entries}) == len(entries)


def test_staging_again_writes_nothing(staged):
    package, code = staged
    before = code.path.stat()
    assert stage_function(package, target=code.path) == code
    assert (code.path.stat().st_mtime_ns, code.path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_two_stagings_are_equal_byte_for_byte(staged, tmp_path):
    package, code = staged
    again = stage_function(package, target=tmp_path / "again.zip")
    assert again.digest == code.digest
    assert again.path.read_bytes() == code.path.read_bytes()


def test_synths_at_a_time_do_not_disturb_each_other(staged, tmp_path):
    package, code = staged
    program = (
        "from pathlib import Path; from infra.function_code import stage_function;"
        f"stage_function({package!r}, target=Path({str(tmp_path / 'same.zip')!r}))"
    )
    command = [sys.executable, "-c", program]
    running = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate()[1] for process in running] == [b""] * 3
    assert (tmp_path / "same.zip").read_bytes() == code.path.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["same.zip"]


def test_a_change_of_the_code_is_another_digest_and_replaces_the_zip(tmp_path):
    for folder in ("lambda", "contract", "samples"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    before = stage_function("submit_transcription", tmp_path, tmp_path / "code.zip")
    handler = tmp_path / "lambda" / "submit_transcription" / "handler.py"
    handler.write_text(handler.read_text() + "# changed\n")
    (tmp_path / "contract" / "whisperstack_contract" / "keys.py").unlink()
    after = stage_function("submit_transcription", tmp_path, tmp_path / "code.zip")
    assert after.path == before.path
    assert after.digest != before.digest
    with zipfile.ZipFile(after.path) as archive:
        assert archive.read("submit_transcription/handler.py") == handler.read_bytes()
        assert "whisperstack_contract/keys.py" not in archive.namelist()


def test_a_damaged_zip_is_written_anew(staged, tmp_path):
    package, code = staged
    content = bytearray(code.path.read_bytes())
    content[len(content) // 2] ^= 1
    target = tmp_path / "code.zip"
    target.write_bytes(content)
    assert stage_function(package, target=target).path.read_bytes() == code.path.read_bytes()


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "functions").write_text("a file in place of the folder")
    with pytest.raises(ConfigurationError, match=r"functions/code.zip cannot be written \(.*\); remove it"):
        stage_function("submit_transcription", target=tmp_path / "functions" / "code.zip")


def test_the_dependencies_are_all_that_they_require():
    named = {name.lower().replace("_", "-") for name in DISTRIBUTIONS}
    for name in DISTRIBUTIONS:
        for line in requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                assert requirement.name.lower().replace("_", "-") in named, f"{name} needs {requirement.name}"


def test_a_function_without_a_handler_is_refused():
    with pytest.raises(ConfigurationError, match=r"lambda/no_such_function/handler.py does not exist"):
        stage_function("no_such_function")
