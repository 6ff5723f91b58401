"""The embedded AWS as seen from outside: a process to start, a URL to call, a thing to stop."""

import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from local.emulator.surroundings import Surroundings
from local.processes import ChildProcess

PROJECT: Final = Path(__file__).resolve().parent.parent

_START_SECONDS: Final = 60.0
_PROBE_SECONDS: Final = 0.05


class EmbeddedAwsError(Exception):
    """The embedded AWS did not start; the message says why and where its log is."""


@dataclass(frozen=True)
class EmbeddedAws:
    """A running embedded AWS. environment: what makes any AWS tool talk to it."""

    surroundings: Surroundings
    process: ChildProcess

    @property
    def endpoint_url(self) -> str:
        return self.surroundings.endpoint_url

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment with every trace of another AWS account taken out."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {**kept, **self.surroundings.credentials}

    def client(self, service: str) -> Any:
        return self.surroundings.client(service)


@contextmanager
def embedded_aws(folder: Path, port: int | None = None) -> Iterator[EmbeddedAws]:
    """A fresh embedded AWS that keeps its files in `folder` (emptied first); gone when the block ends.

    port: a free one unless given. Raises EmbeddedAwsError.
    """
    if port and not _is_free(port):
        raise EmbeddedAwsError(f"port {port} is in use; end what listens there, or choose another port")
    shutil.rmtree(folder, ignore_errors=True)
    state, logs = folder / "state", folder / "logs"
    state.mkdir(parents=True)
    logs.mkdir()
    surroundings = Surroundings(port or _free_port(), state, logs)
    process = ChildProcess(
        [sys.executable, "-m", "local.emulator", str(surroundings.port), str(state), str(logs)],
        {**os.environ, "PYTHONPATH": str(PROJECT / "contract")},
        logs / "embedded-aws.log",
        PROJECT,
    )
    try:
        _wait_until_it_listens(process, surroundings)
        yield EmbeddedAws(surroundings, process)
    finally:
        with _uninterrupted():
            process.stop()
            shutil.rmtree(state, ignore_errors=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """An impatient Ctrl-C waits for the second that tidying up takes, and then counts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    usual = signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if came and callable(usual):
        usual(*came[0])


def _wait_until_it_listens(process: ChildProcess, surroundings: Surroundings) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if (code := process.exit_code()) is not None:
            raise EmbeddedAwsError(f"the embedded AWS ended with {code} on port {surroundings.port}; see {process.log}")
        if surroundings.ready_file.exists():
            return
        time.sleep(_PROBE_SECONDS)
    raise EmbeddedAwsError(f"the embedded AWS did not listen within {_START_SECONDS:.0f} s; see {process.log}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the server does; else a port that was in use a minute ago would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
