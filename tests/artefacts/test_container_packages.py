"""What the archive carries fits the serving image: seen in its files and, where there is a Python 3.12, by importing them."""

import ast
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from email.parser import HeaderParser
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename
from typer.testing import CliRunner

from infra.environments import find_environment
from model_build.cli import app
from model_build.errors import BuildError
from model_build.layouts import packages_of
from model_build.lock import read_lock
from model_build.packages import ContainerPackages
from tests.artefacts.conftest import LOCK, PROJECT, NoProgress
from whisperstack_contract.artefact import ReleaseManifest

IMAGE = json.loads((PROJECT / "infra" / "images.json").read_text())["images"]["huggingface"]["contents"]
TAG = "cp312-manylinux_x86_64"
ELF_X86_64 = 62  # Source: elf.h, EM_X86_64

# whisper is imported with a torch that is not there: no torch for 3.12 is installed on machines like this.
IMPORT_ALL = """
import sys
from pathlib import Path
from unittest.mock import MagicMock
code = Path(sys.argv[1])
sys.path[:0] = [str(code), sys.argv[2]]
from whisper_serving.vendored import use_vendored_packages
use_vendored_packages(code / "vendor")
for name in ("torch", "torch.nn", "torch.nn.functional", "torch.distributions"):
    sys.modules[name] = MagicMock()
import llvmlite.binding, more_itertools, numba, numpy, regex, tiktoken, tqdm, whisper
from whisper.timing import backtrace
from whisper.tokenizer import get_tokenizer
trace = numpy.array([[0, 2, 2], [1, 0, 2], [1, 1, 0]], dtype=numpy.int8)
print(backtrace(trace).tolist())
print(get_tokenizer(multilingual=True).encode(" ask not"))
print(numpy.__version__)
vendor = str(code / "vendor")
assert all(module.__file__.startswith(vendor) for module in (llvmlite, more_itertools, numba, regex, tiktoken, tqdm, whisper))
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`code/` of an unpacked archive, as far as the container's packages and the module that finds them."""
    folder = tmp_path_factory.mktemp("container") / "code"
    shutil.copytree(PROJECT / "inference" / "whisper_serving", folder / "whisper_serving")
    (folder / "vendor").mkdir()
    names = ContainerPackages.of(PROJECT, LOCK).unpack(folder / "vendor" / TAG, NoProgress())
    assert all(name.startswith(f"code/vendor/{TAG}/") for name in names)
    return folder


@pytest.fixture(scope="module")
def tree(code: Path) -> Path:
    return code / "vendor" / TAG


def top_level(tree: Path) -> set[str]:
    return {path.stem for path in tree.iterdir() if path.suffix in ("", ".py")}


def imports(path: Path) -> set[str]:
    """The top-level names that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_every_import_is_carried_or_in_the_image(tree: Path) -> None:
    available = top_level(tree) | sys.stdlib_module_names | set(IMAGE["has"])
    needed = {
        name
        for package in ("whisper", "tiktoken", "tiktoken_ext")
        for path in (tree / package).rglob("*.py")
        for name in imports(path)
    }
    # Loads vocabularies from cloud storage; whisper brings its own.
    assert needed - available == {"blobfile"}
    own = {"whisper_serving", "whisperstack_contract"}
    serving = {name for path in (PROJECT / "inference").rglob("*.py") for name in imports(path)}
    assert serving - available - own == set()


def test_nothing_that_the_image_has_is_carried(tree: Path) -> None:
    assert top_level(tree) & {*IMAGE["has"], "urllib3", "certifi", "idna", "charset_normalizer"} == set()


def test_compiled_modules_are_for_the_images_python_and_platform(tree: Path) -> None:
    compiled = [path for path in tree.rglob("*.so*") if path.is_file()]
    assert len(compiled) > 5
    for path in compiled:
        # One library is no module of Python's: llvmlite opens it by ctypes.
        assert path.name == "libllvmlite.so" or re.search(r"\.(cpython-312-x86_64-linux-gnu|abi3)\.so$", path.name), path
        with path.open("rb") as file:
            header = file.read(20)
        assert (header[:4], struct.unpack_from("<H", header, 18)[0]) == (b"\x7fELF", ELF_X86_64), path


def test_no_wheel_needs_a_newer_glibc_than_the_images() -> None:
    newest = tuple(map(int, IMAGE["glibc"].split(".")))
    wheels = [path for path in ContainerPackages.of(PROJECT, LOCK).fetch(NoProgress()).values() if path.suffix == ".whl"]
    assert len(wheels) > 5
    for wheel in wheels:
        tags = parse_wheel_filename(wheel.name)[3]
        glibcs = [re.fullmatch(r"manylinux_(\d+)_(\d+)_x86_64", tag.platform) for tag in tags]
        fitting = [match for match in glibcs if match and (int(match[1]), int(match[2])) <= newest]
        assert fitting or {tag.platform for tag in tags} == {"any"}, wheel.name


def test_numba_takes_the_images_numpy_and_a_newer_one(tree: Path) -> None:
    metadata = HeaderParser().parsestr(next(tree.glob("numba-*.dist-info/METADATA")).read_text())
    numpy = next(found for found in map(Requirement, metadata.get_all("Requires-Dist")) if found.name == "numpy")
    assert IMAGE["numpy"] in numpy.specifier
    assert "2.2.6" in numpy.specifier


def test_the_container_runs_what_the_tests_run() -> None:
    def versions(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", (PROJECT / name).read_text(), re.MULTILINE))

    tested = versions("requirements-model.txt")
    carried = {package.name: package.version for package in read_lock(PROJECT / "requirements-container.txt")}
    assert carried == {name: tested[name] for name in carried}
    assert {"openai-whisper", "tiktoken", "numba", "llvmlite", "regex", "more-itertools", "tqdm"} == set(carried)
    assert versions("requirements-image.txt") == {"numpy": IMAGE["numpy"]}


def test_an_archive_for_an_image_without_ffmpeg_carries_that_and_all_the_rest() -> None:
    def versions(lock: str) -> dict[str, str]:
        return {package.name: package.version for package in read_lock(PROJECT / lock)}

    with_ffmpeg = versions(packages_of("pytorch", with_ffmpeg=True))
    assert with_ffmpeg.pop("imageio-ffmpeg") == version("imageio-ffmpeg")
    assert with_ffmpeg == versions(packages_of("pytorch", with_ffmpeg=False))
    with pytest.raises(BuildError, match="each image that runs huggingface has an ffmpeg"):
        packages_of("huggingface", with_ffmpeg=True)


def test_licences_are_carried_and_traces_of_an_installation_are_not(tree: Path) -> None:
    for package in read_lock(PROJECT / "requirements-container.txt"):
        metadata = tree / f"{package.name.replace('-', '_')}-{package.version}.dist-info"
        assert f"Version: {package.version}\n" in (metadata / "METADATA").read_text()
        assert [path for path in metadata.rglob("*") if path.name.upper().startswith(("LICEN", "COPYING"))], metadata
    assert [
        path for path in tree.rglob("*") if path.name in ("RECORD", "INSTALLER", "tests", "__pycache__", "requirements.txt")
    ] == []


def test_the_containers_python_imports_and_runs_what_is_carried(code: Path, tmp_path: Path) -> None:
    python = find_python()
    if python is None:
        pytest.skip(f"no Python {IMAGE['python']} on this machine; the other tests here look at the files instead")
    image = ContainerPackages(PROJECT / "requirements-image.txt", ContainerPackages.of(PROJECT, LOCK).cache)
    image.unpack(tmp_path / "image", NoProgress())
    finished = subprocess.run(
        [python, "-I", "-S", "-B", "-c", IMPORT_ALL, str(code), str(tmp_path / "image")],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.defpath},
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines() == ["[[0, 1], [0, 1]]", "[1029, 406]", IMAGE["numpy"]]


def find_python() -> str | None:
    """An interpreter of the image's version, on PATH or among pyenv's."""
    version = IMAGE["python"]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))]
    for candidate in candidates:
        # pyenv's stand-in on PATH refuses where that version is not chosen.
        if candidate and subprocess.run([candidate, "-V"], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def test_an_environment_whose_image_has_no_ffmpeg_gets_an_archive_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = find_environment("local")
    assert local.asynchronous is not None
    chosen = replace(local, asynchronous=replace(local.asynchronous, image="pytorch"))
    monkeypatch.setattr("infra.environments._environments", lambda: (chosen,))
    built = ["build", "--env", "local", "--source", "package", "--output-root", str(tmp_path)]
    result = CliRunner().invoke(app, built)
    assert result.exit_code == 0, result.output
    release = ReleaseManifest.from_json((tmp_path / "pytorch" / "tiny.en" / "release.json").read_bytes())
    assert release.has_ffmpeg
