"""The pairs of serving stack and engine that can be deployed, each with its archive and its template's variables."""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import imageio_ffmpeg
import pytest

from infra.environments import find_environment
from tests.conformance.serving_stack import PROJECT, PYTHON, RunningStack, serving
from tests.infra.synthesized import synthesize

MODEL = "tiny.en"


@dataclass(frozen=True)
class Pair:
    """image: in infra/images.json. stack: the serving stack in it."""

    image: str
    stack: str
    engine: str

    def __str__(self) -> str:
        return f"{self.stack}-{self.engine}"


PAIRS = (
    Pair("huggingface", "mms", "pytorch"),
    Pair("huggingface", "mms", "huggingface"),
    Pair("pytorch", "torchserve", "pytorch"),
)


class Container:
    """Starts a pair's stack with its archive, its variables, or changed ones."""

    def __init__(self, pair: Pair, unpacked: Path, variables: dict[str, str], folder: Path) -> None:
        self.pair, self.variables = pair, variables
        self._unpacked, self._folder = unpacked, folder
        self._count = 0

    @contextmanager
    def run(self, name: str, change: Callable[[Path], None] | None = None, **variables: str) -> Iterator[RunningStack]:
        """change: what to do to a copy of the unpacked archive first."""
        self._count += 1
        folder = self._folder / f"{name}-{self._count}"
        # Hard links: a copy of the weights for each start would take longer than the start.
        shutil.copytree(self._unpacked, folder / "archive", copy_function=os.link)
        if change is not None:
            change(folder / "archive")
        with serving(
            self.pair.stack, folder / "archive", {**self.variables, **variables}, folder, f"{self.pair}-{name}"
        ) as stack:
            yield stack


def replace_file(path: Path, content: str | bytes) -> None:
    """Writes a new file: the old one is linked from elsewhere."""
    path.unlink(missing_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The unpacked archive of an engine, built by the command that a user calls."""
    root = tmp_path_factory.mktemp("archives")
    unpacked: dict[str, Path] = {}

    def archive(engine: str) -> Path:
        if engine not in unpacked:
            command = [
                sys.executable,
                "-m",
                "model_build",
                "build",
                "--engine",
                engine,
                "--model",
                MODEL,
                "--source",
                "package",
            ]
            environment = {**os.environ, "PYTHONPATH": "contract"}
            subprocess.run(command, check=True, cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL)
            with tarfile.open(PROJECT / "build" / "artefacts" / engine / MODEL / "model.tar.gz") as tar:
                tar.extractall(root / engine, filter="data")
            unpacked[engine] = root / engine
        return unpacked[engine]

    return archive


@pytest.fixture(scope="session", params=PAIRS, ids=str)
def container(
    request: pytest.FixtureRequest, archives: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Container:
    assert PYTHON.is_file(), "the serving stacks are not installed; run make serving-test"
    pair: Pair = request.param
    environment = find_environment("local")
    settings = replace(environment.asynchronous, image=pair.image, engine=pair.engine)
    template = synthesize(replace(environment, asynchronous=settings), tmp_path_factory.mktemp("cdk.out")).asynchronous
    variables = template.resource("AWS::SageMaker::Model")["PrimaryContainer"]["Environment"]
    return Container(pair, archives(pair.engine), variables, tmp_path_factory.mktemp(str(pair)))


@pytest.fixture(scope="session")
def running(container: Container) -> Iterator[RunningStack]:
    """The stack as it is deployed, for all tests that leave it as it was."""
    with container.run("deployed") as stack:
        yield stack


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    """The sample in another container: recording("wav")."""
    folder = tmp_path_factory.mktemp("recordings")

    def convert(extension: str, *options: str) -> bytes:
        path = folder / f"sample.{extension}"
        if not path.exists():
            source = ["-i", str(PROJECT / "samples" / "jfk.mp3")]
            command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *source, *options, str(path)]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return path.read_bytes()

    return convert
