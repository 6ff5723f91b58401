"""The handler over real weights, and recordings to send it."""

import io
import os
import subprocess
import tarfile
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from model_build.artefact import build_artefact
from model_build.packages import ContainerPackages
from model_build.sources import PackageSource
from whisper_serving.settings import Settings
from whisper_serving.transcriber import Transcriber

PROJECT = Path(__file__).resolve().parents[2]
DIGEST = "0123456789abcdef" * 4


class NoProgress:
    def stage(self, description: str, total_bytes: int | None = None) -> None: ...

    def advance(self, n_bytes: int) -> None: ...


def wav(samples: np.ndarray) -> bytes:
    """16 kHz, mono, 16 bits, of float32 [n] samples in -1..1."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes((samples * 32767).astype("<i2").tobytes())
    return file.getvalue()


@dataclass
class Context:
    """What the serving stacks pass, as far as the handler uses it."""

    headers: dict[str, str] = field(default_factory=dict)
    status: tuple[int, str] | None = None

    def get_request_header(self, idx: int, key: str) -> str | None:
        assert idx == 0
        return self.headers.get(key)

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        assert idx == 0
        self.status = (code, phrase)


def unpacked_archive(engine: str, model: str, root: Path) -> Path:
    """root: an empty folder."""
    # The container's packages fit another interpreter than this one, and would only be unpacked.
    (root / "nothing.txt").write_text("")
    packages = ContainerPackages(root / "nothing.txt", root / "wheels")
    built = build_artefact(engine, model, PackageSource.find(model), packages, root / "built", PROJECT, NoProgress())
    with tarfile.open(built.folder / "model.tar.gz") as archive:
        archive.extractall(root / "model", filter="data")
    return root / "model"


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unpacked archive of Whisper tiny.en."""
    return unpacked_archive("pytorch", "tiny.en", tmp_path_factory.mktemp("serving"))


@pytest.fixture(scope="session")
def huggingface_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights in a Hugging Face archive."""
    return unpacked_archive("huggingface", "tiny.en", tmp_path_factory.mktemp("huggingface"))


@pytest.fixture(scope="session")
def handler() -> ModuleType:
    import inference

    return inference


@pytest.fixture(scope="session")
def model(model_folder: Path, handler: ModuleType) -> Transcriber:
    return _loaded(model_folder, handler, {})


@pytest.fixture(scope="session")
def exact_model(model_folder: Path, handler: ModuleType) -> Transcriber:
    return _loaded(model_folder, handler, {"WHISPERSTACK_NUMERICS": "exact"})


def _loaded(model_folder: Path, handler: ModuleType, variables: dict[str, str]) -> Transcriber:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WHISPERSTACK_MAX_AUDIO_SECONDS", raising=False)
        for name, value in {"WHISPERSTACK_MODEL_DIGEST": DIGEST, **variables}.items():
            patch.setenv(name, value)
        loaded: Transcriber = handler.model_fn(str(model_folder))
        return loaded


@pytest.fixture(scope="session", autouse=True)
def torch_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """transformers makes torch's compiler create its folder when it is imported, which may be in the middle of a test."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(tmp_path_factory.mktemp("torch"))


@pytest.fixture(autouse=True)
def decoding_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go. Nothing may be left in it, whatever a test does."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def settings() -> Settings:
    return Settings.from_environment({"WHISPERSTACK_MODEL_DIGEST": DIGEST})


@pytest.fixture
def jfk() -> bytes:
    return (PROJECT / "samples" / "jfk.mp3").read_bytes()


@pytest.fixture
def generate(settings: Settings, tmp_path: Path) -> Callable[..., bytes]:
    """Makes a file with ffmpeg: generate("out.wav", "-f", "lavfi", "-i", "anullsrc", …)."""

    def generate(name: str, *arguments: str) -> bytes:
        path = tmp_path / name
        subprocess.run([settings.ffmpeg, "-v", "error", "-y", *arguments, str(path)], check=True, stdin=subprocess.DEVNULL)
        return path.read_bytes()

    return generate


@pytest.fixture
def jfk_as(generate: Callable[..., bytes]) -> Callable[..., bytes]:
    """The sample in another container: jfk_as("jfk.wav")."""
    return lambda name, *arguments: generate(name, "-i", str(PROJECT / "samples" / "jfk.mp3"), *arguments)


@pytest.fixture
def silence_of(generate: Callable[..., bytes]) -> Callable[[float], bytes]:
    """A WAV of so many seconds of digital silence."""
    return lambda seconds: generate("silence.wav", "-f", "lavfi", "-i", f"anullsrc=r=16000:cl=mono:d={seconds}")


@pytest.fixture
def context() -> Context:
    return Context()


@pytest.fixture
def with_options() -> Callable[[str], Context]:
    return lambda text: Context({"X-Amzn-SageMaker-Custom-Attributes": text})


@pytest.fixture(scope="session")
def jfk_answer(handler: ModuleType, model: Transcriber) -> str:
    """What the handler answers to the sample recording."""
    body = bytearray((PROJECT / "samples" / "jfk.mp3").read_bytes())
    return str(handler.transform_fn(model, body, "audio/mpeg", "application/json", Context()))


@pytest.fixture
def invoke(handler: ModuleType, model: Transcriber) -> Callable[..., str]:
    return _ask(handler, model)


@pytest.fixture
def invoke_exact(handler: ModuleType, exact_model: Transcriber) -> Callable[..., str]:
    return _ask(handler, exact_model)


def _ask(handler: ModuleType, model: Transcriber) -> Callable[..., str]:
    def invoke(body: Any, context: Context | None, content_type: str = "audio/x-audio") -> str:
        answer = handler.transform_fn(model, body, content_type, "application/json", context)
        # Of a pair, Multi Model Server would send both to the client.
        assert type(answer) is str
        return answer

    return invoke
