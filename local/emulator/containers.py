"""The process of one model container: the unpacked model, its variables, and a server that answers as the image's does."""

import shutil
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests

from local.emulator.model_data import fetch_model
from local.emulator.surroundings import Surroundings
from local.processes import ChildProcess

_SERVER: Final = Path(__file__).with_name("model_server.py")
_PING_SECONDS: Final = 0.1
_START_SECONDS: Final = 60.0


class ContainerError(Exception):
    """A container does not run, or does not answer; the message says why."""


@dataclass
class ModelContainer:
    """name: of what it serves, for messages. folder: its /opt/ml/model. Requests go to `url`, empty while it does not run."""

    name: str
    folder: Path
    environment: dict[str, str]
    log: Path
    process: ChildProcess | None = None
    url: str = ""
    stopping: threading.Event = field(default_factory=threading.Event)

    def invoke(self, body: bytes, headers: Mapping[str, str], timeout_seconds: float) -> tuple[int, bytes]:
        """(status, body) of /invocations. Raises ContainerError where nobody answers in time."""
        if not self.url:
            raise ContainerError(f"the container of {self.name} is not running")
        try:
            response = requests.post(f"{self.url}/invocations", data=body, headers=headers, timeout=timeout_seconds)
        except requests.RequestException as error:
            raise ContainerError(f"the container of {self.name} did not answer: {error}") from error
        return response.status_code, response.content

    def start(self) -> None:
        """Start the process and return once it answers /ping. Raises ContainerError."""
        port = _free_port()
        self.process = ChildProcess(
            [sys.executable, "-I", str(_SERVER), str(self.folder), str(port)], self.environment, self.log, self.folder
        )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if (code := self.process.exit_code()) is not None:
                raise ContainerError(f"the container ended with {code}; see {self.log}")
            try:
                requests.get(f"http://127.0.0.1:{port}/ping", timeout=_START_SECONDS)
            except requests.ConnectionError:
                time.sleep(_PING_SECONDS)
                continue
            self.url = f"http://127.0.0.1:{port}"
            return
        raise ContainerError(f"the container did not answer /ping in {_START_SECONDS:.0f} s; see {self.log}")

    def stop(self) -> None:
        self.stopping.set()
        if self.process:
            self.process.kill()


def prepare_model(
    surroundings: Surroundings, model: Mapping[str, Any], role: str, folder: Path, variables: Mapping[str, str]
) -> tuple[Path, dict[str, str]]:
    """(model folder, environment) of a container below `folder`, which is emptied first.

    model: a model's PrimaryContainer. role: under which SageMaker fetches it. variables: over the model's own. Raises what
    fetch_model raises.
    """
    shutil.rmtree(folder, ignore_errors=True)
    model_folder, temporary = folder / "model", folder / "tmp"
    model_folder.mkdir(parents=True)
    fetch_model(surroundings.client("s3", role), model, model_folder)
    temporary.mkdir()
    # What the image sets and the model's own variables; no credentials: the container is network-isolated.
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "TMPDIR": str(temporary),
        # This machine's cores are shared: threads that spin while they wait for each other would keep the rest from working.
        "OMP_WAIT_POLICY": "PASSIVE",
        **{name: str(value) for name, value in {**model.get("Environment", {}), **variables}.items()},
    }
    return model_folder, environment


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
