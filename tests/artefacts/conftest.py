"""Artefacts to test with: one of real weights, built once, and toy ones that take no time."""

import hashlib
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from model_build.artefact import BuiltArtefact, build_artefact
from model_build.layouts import layout_of
from model_build.packages import ContainerPackages
from model_build.sources import CTranslate2Source, PackageSource
from tests.artefacts.file_server import FileServer, serve

PROJECT = Path(__file__).resolve().parents[2]
LOCK = layout_of("pytorch").packages


class NoProgress:
    def stage(self, description: str, total_bytes: int | None = None) -> None: ...

    def advance(self, n_bytes: int) -> None: ...


@pytest.fixture
def progress() -> NoProgress:
    return NoProgress()


@pytest.fixture
def file_server() -> Iterator[FileServer]:
    with serve() as server:
        yield server


@pytest.fixture(scope="session")
def project() -> Path:
    return PROJECT


@pytest.fixture(scope="session")
def tiny_en(tmp_path_factory: pytest.TempPathFactory) -> BuiltArtefact:
    """The artefact of the demo: Whisper tiny.en."""
    folder = tmp_path_factory.mktemp("artefacts") / "tiny.en"
    packages = ContainerPackages.of(PROJECT, LOCK)
    return build_artefact("pytorch", "tiny.en", PackageSource.find("tiny.en"), packages, folder, PROJECT, NoProgress())


_TYPE_IDS = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}


@dataclass
class ToyModel:
    """A CTranslate2 Whisper model of 8 x 2, with every part that the real ones have, to be bent before it is written."""

    version: int = 6
    specification: str = "WhisperSpec"
    variables: dict[str, np.ndarray] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=lambda: {"decoder/projection/weight": "decoder/embeddings/weight"})
    type_ids: dict[str, int] = field(default_factory=dict)  # where another than the array's is to be written

    def to_bytes(self) -> bytes:
        parts = [struct.pack("<I", self.version), _text(self.specification), struct.pack("<II", 3, len(self.variables))]
        for name, values in self.variables.items():
            type_id = self.type_ids.get(name, _TYPE_IDS[values.dtype.name])
            shape = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
            parts += [_text(name), shape, struct.pack("<BI", type_id, values.nbytes), values.tobytes()]
        parts.append(struct.pack("<I", len(self.aliases)))
        parts += [_text(alias) + _text(target) for alias, target in self.aliases.items()]
        return b"".join(parts)

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.bin").write_bytes(self.to_bytes())
        return folder


def _text(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def make_toy_model() -> ToyModel:
    width, vocabulary = 8, 11
    numbers = np.random.default_rng(seed=7)
    model = ToyModel()

    def add(name: str, *shape: int) -> None:
        model.variables[name] = numbers.standard_normal(shape).astype(np.float16)

    def add_linear(name: str, rows: int, *columns: int) -> None:
        add(f"{name}/weight", rows, *columns)
        add(f"{name}/bias", rows)

    def add_norm(name: str) -> None:
        add(f"{name}/gamma", width)
        add(f"{name}/beta", width)

    add_linear("encoder/conv1", width, 4, 3)
    add_linear("encoder/conv2", width, width, 3)
    add("decoder/embeddings/weight", vocabulary, width)
    for side, context in (("encoder", 6), ("decoder", 5)):
        add(f"{side}/position_encodings/encodings", context, width)
        add_norm(f"{side}/layer_norm")
        model.variables[f"{side}/num_heads"] = np.array(2, np.int16)
        for layer in (f"{side}/layer_0", f"{side}/layer_1"):
            add_linear(f"{layer}/self_attention/linear_0", 3 * width, width)
            model.variables[f"{layer}/self_attention/linear_0/bias"][width : 2 * width] = 0
            add_linear(f"{layer}/self_attention/linear_1", width, width)
            add_norm(f"{layer}/self_attention/layer_norm")
            add_linear(f"{layer}/ffn/linear_0", 4 * width, width)
            add_linear(f"{layer}/ffn/linear_1", width, 4 * width)
            add_norm(f"{layer}/ffn/layer_norm")
            if side == "decoder":
                add_linear(f"{layer}/attention/linear_0", width, width)
                add_linear(f"{layer}/attention/linear_1", 2 * width, width)
                model.variables[f"{layer}/attention/linear_1/bias"][:width] = 0
                add_linear(f"{layer}/attention/linear_2", width, width)
                add_norm(f"{layer}/attention/layer_norm")
    return model


@pytest.fixture
def toy_model() -> ToyModel:
    return make_toy_model()


@pytest.fixture
def build_toy(
    toy_model: ToyModel, toy_packages: ContainerPackages, tmp_path: Path, progress: NoProgress
) -> Callable[..., BuiltArtefact]:
    """Builds the toy model with the toy package; arguments replace what build_artefact gets."""

    def build(**replaced: object) -> BuiltArtefact:
        source = CTranslate2Source(toy_model.write(tmp_path / "toy"), "MIT")
        arguments = {
            "packages": toy_packages,
            "folder": tmp_path / "out" / "pytorch" / "toy",
            "project_root": PROJECT,
            "progress": progress,
            **replaced,
        }
        return build_artefact("pytorch", "toy", source, **arguments)

    return build


def write_wheel(folder: Path, files: dict[str, str], name: str = "toy-1.0-py3-none-any.whl") -> str:
    """Writes a wheel and returns its SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
    return hashlib.sha256((folder / name).read_bytes()).hexdigest()


@pytest.fixture
def toy_packages(tmp_path: Path) -> ContainerPackages:
    """One package, already in the cache."""
    files = {
        "toy/__init__.py": "ANSWER = 42\n",
        "toy-1.0.dist-info/METADATA": "Name: toy\nVersion: 1.0\n",
        "toy-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    sha256 = write_wheel(tmp_path / "wheels", files)
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"toy==1.0 \\\n    --hash=sha256:{sha256}\n")
    return ContainerPackages(lock, tmp_path / "wheels")


@pytest.fixture(autouse=True)
def aws_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that open nothing, whatever this machine is signed in to."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
