"""The pairs of serving stack and engine that can be deployed, each with its archive and its template's variables."""

import fcntl
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from infra.environments import find_environment
from tests.conformance.serving_stack import LOGS, PROJECT, PYTHON, RunningStack, emulating, serving
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


# The engine does not matter to what only the stack decides, so one pair for each stack stands for all.
OF_THE_STACK = {"mms": PAIRS[0], "torchserve": PAIRS[2]}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--stack", choices=list(OF_THE_STACK), help="this one's tests only, so that both run side by side")


def _is_left_out(item: pytest.Item, stack: str | None) -> bool:
    pair: Pair | None = getattr(item, "callspec", None) and item.callspec.params.get("container")  # type: ignore[attr-defined]
    # What is of no stack goes with the one that has fewer tests.
    if stack is not None and stack != (pair.stack if pair else "torchserve"):
        return True
    return pair is not None and item.get_closest_marker("of_the_stack") is not None and pair != OF_THE_STACK[pair.stack]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if _is_left_out(item, config.getoption("--stack"))]
    config.hook.pytest_deselected(items=left_out)
    for item in items:
        # Stacks start slowly, and 1 GB takes its time.
        item.add_marker(pytest.mark.timeout(900))
    items[:] = [item for item in items if item not in left_out]


class Container:
    """Starts a pair's stack with its archive and the variables of its template, or changed ones."""

    def __init__(self, pair: Pair, unpacked: Path, folder: Path) -> None:
        self.pair = pair
        self._unpacked, self._folder = unpacked, folder
        self._count = 0

    def template_variables(self, environment: str = "local", **changes: Any) -> dict[str, str]:
        """Of the container in that environment's template, as its settings are, with this pair and these changes."""
        self._count += 1
        chosen = find_environment(environment)
        assert chosen.asynchronous is not None
        settings = replace(chosen.asynchronous, image=self.pair.image, engine=self.pair.engine, model=MODEL, **changes)
        folder = self._folder / f"cdk.out-{self._count}"
        template = synthesize(replace(chosen, asynchronous=settings), folder).asynchronous
        variables: dict[str, str] = template.resource("AWS::SageMaker::Model")["PrimaryContainer"]["Environment"]
        return variables

    def realtime_variables(self) -> dict[str, str]:
        """The same of a real-time endpoint."""
        chosen = find_environment("local")
        ((name, settings),) = chosen.realtime.items()
        settings = replace(settings, image=self.pair.image, engine=self.pair.engine, model=MODEL)
        template = synthesize(replace(chosen, realtime={name: settings}), self._folder / "cdk.out-realtime").realtime
        variables: dict[str, str] = template.resource("AWS::SageMaker::Model")["PrimaryContainer"]["Environment"]
        return variables

    @contextmanager
    def run(self, name: str, variables: dict[str, str], change: Callable[[Path], None] | None = None) -> Iterator[RunningStack]:
        """change: what to do to a copy of the unpacked archive first."""
        archive = self._archive(name, change)
        with serving(self.pair.stack, archive, variables, archive.parent, f"{self.pair}-{name}") as stack:
            yield stack

    @contextmanager
    def emulate(
        self, name: str, variables: dict[str, str], change: Callable[[Path], None] | None = None
    ) -> Iterator[RunningStack]:
        """The same in the embedded AWS."""
        archive = self._archive(f"emulated-{name}", change)
        with emulating(archive, variables, archive.parent, f"{self.pair}-emulated-{name}") as stack:
            yield stack

    def temporary_files(self, pattern: str) -> list[Path]:
        """Of the stack that runs."""
        return list(self._folder.glob(f"*/tmp/{pattern}"))

    def _archive(self, name: str, change: Callable[[Path], None] | None) -> Path:
        self._count += 1
        archive = self._folder / f"{name}-{self._count}" / "archive"
        # Hard links: a copy of the weights for each start would take longer than the start.
        shutil.copytree(self._unpacked, archive, copy_function=os.link)
        if change is not None:
            change(archive)
        return archive


def replace_file(path: Path, content: str | bytes) -> None:
    """Writes a new file: the old one is linked from elsewhere."""
    path.unlink(missing_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


Archives = Callable[..., Path]


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Archives:
    """The unpacked archive of an engine and model, built by the command that a user calls: archives("pytorch")."""
    root = tmp_path_factory.mktemp("archives")

    def archive(engine: str, model: str = MODEL, *options: str) -> Path:
        folder = root / "-".join((engine, model, *options))
        if not folder.is_dir():
            # Apart from those of the demo, which others may be running; kept for the next run of these tests.
            built = LOGS.joinpath("artefacts", *options)
            command = [sys.executable, "-m", "model_build", "build", "--engine", engine, "--model", model]
            command += ["--source", "package", "--output-root", str(built), *options]
            environment = {**os.environ, "PYTHONPATH": "contract"}
            built.mkdir(parents=True, exist_ok=True)
            with (built / "lock").open("w") as lock:
                # The tests of the other stack, beside these, build the same.
                fcntl.flock(lock, fcntl.LOCK_EX)
                subprocess.run(command, check=True, cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL)
            with tarfile.open(built / engine / model / "model.tar.gz") as tar:
                tar.extractall(folder, filter="data")
        return folder

    return archive


@pytest.fixture(scope="session", params=PAIRS, ids=str)
def container(request: pytest.FixtureRequest, archives: Archives, tmp_path_factory: pytest.TempPathFactory) -> Container:
    assert PYTHON.is_file(), "the serving stacks are not installed; run make serving-test"
    pair: Pair = request.param
    return Container(pair, archives(pair.engine), tmp_path_factory.mktemp(str(pair)))


@pytest.fixture(scope="session")
def deployed(container: Container) -> dict[str, str]:
    """The variables of the container as it is deployed."""
    return container.template_variables()


# One of a kind runs at a time: Multi Model Server names its sockets alike each time.
@pytest.fixture(scope="module")
def running(container: Container, deployed: dict[str, str]) -> Iterator[RunningStack]:
    """The stack as it is deployed, for all tests that leave it as it was."""
    with container.run("deployed", deployed) as stack:
        yield stack


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The sample in another container: recorded("wav"), or recorded("long.mp3", …) with options of ffmpeg."""
    folder = tmp_path_factory.mktemp("recordings")

    def convert(extension: str, *options: str) -> Path:
        path = folder / f"sample.{extension}"
        if not path.exists():
            source = ["-i", str(PROJECT / "samples" / "jfk.mp3")]
            command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *source, *options, str(path)]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return path

    return convert


@pytest.fixture(scope="session")
def recording(recorded: Callable[..., Path]) -> Callable[[str], bytes]:
    """Its bytes: recording("wav")."""
    return lambda extension: recorded(extension).read_bytes()
