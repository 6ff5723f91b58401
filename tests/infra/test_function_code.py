"""The folder that becomes a function's zip: complete, small, and the same on every machine."""

import hashlib
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from infra.errors import ConfigurationError
from infra.function_code import DISTRIBUTIONS, ROOT, SERVICES, stage_function

PACKAGES = ["submit_transcription", "record_result"]


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module", params=PACKAGES)
def staged(request, tmp_path_factory):
    return request.param, stage_function(request.param, target=tmp_path_factory.mktemp(request.param))


def test_the_handler_imports_with_nothing_but_the_folder(staged):
    package, folder = staged
    program = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import {package}.handler as h; assert callable(h.lambda_handler); "
        "import boto3; print(boto3.__version__, boto3.__file__)"
    )
    run = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == f"1.44.5 {folder}/boto3/__init__.py"


def test_clients_of_the_services_in_use_can_be_made(staged):
    _, folder = staged
    program = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import boto3\n"
        f"for service in {sorted(SERVICES)!r}: boto3.client(service, region_name='us-east-1')"
    )
    run = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_the_folder_is_small_and_holds_no_bytecode_and_no_other_function(staged):
    package, folder = staged
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix == ".pyc" or "__pycache__" in path.parts]
    assert sum(path.stat().st_size for path in files) < 12 * 1024**2
    assert {path.parent.name for path in folder.glob("*/handler.py")} == {package}


def test_compiled_code_is_absent_so_that_the_zip_runs_on_any_processor(staged):
    _, folder = staged
    assert not [path for path in folder.rglob("*") if path.suffix in {".so", ".pyd", ".dylib"}]


def test_staging_again_changes_nothing(staged):
    package, folder = staged
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    stage_function(package, target=folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


def test_two_stagings_are_equal_byte_for_byte(staged, tmp_path):
    package, folder = staged
    assert digests(stage_function(package, target=tmp_path)) == digests(folder)


def test_synths_at_a_time_do_not_disturb_each_other(staged, tmp_path):
    package, folder = staged
    program = (
        "from pathlib import Path; from infra.function_code import stage_function;"
        f"stage_function({package!r}, target=Path({str(tmp_path / 'same')!r}))"
    )
    command = [sys.executable, "-c", program]
    running = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate()[1] for process in running] == [b""] * 3
    assert digests(tmp_path / "same") == digests(folder)


def test_what_is_no_longer_part_of_the_function_goes_away(staged):
    package, folder = staged
    stale = folder / package / "deleted_module.py"
    stale.write_text("")
    stage_function(package, target=folder)
    assert not stale.exists()


def test_a_changed_file_is_replaced(staged):
    package, folder = staged
    (folder / package / "handler.py").write_text("changed")
    stage_function(package, target=folder)
    assert (folder / package / "handler.py").read_bytes() == (ROOT / "lambda" / package / "handler.py").read_bytes()


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
