"""SageMaker endpoints: for each, a process that serves the deployed model.tar.gz.

`Creating` lasts until the container answers `/ping`; an archive that is not there or does not unpack gives `Failed` with the
reason; a container that dies is started again, as SageMaker does.
"""

import logging
import shutil
import socket
import sys
import tarfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests
from botocore.exceptions import ClientError
from moto.sagemaker.models import FakeEndpoint, SageMakerModelBackend

from local.emulator.model_data import fetch_model
from local.emulator.surroundings import Surroundings, replace
from local.processes import ChildProcess

_log = logging.getLogger(__name__)

_SERVER: Final = Path(__file__).with_name("model_server.py")
_PING_SECONDS: Final = 0.1
_START_SECONDS: Final = 60.0


class EndpointNotServingError(Exception):
    """The endpoint cannot take a request; the message says why."""


@dataclass
class Container:
    """One endpoint's process. Requests go to `url`."""

    endpoint: FakeEndpoint
    config: dict[str, Any]
    folder: Path
    environment: dict[str, str]
    log: Path
    process: ChildProcess | None = None
    url: str = ""
    stopping: threading.Event = field(default_factory=threading.Event)

    def invoke(self, body: bytes, headers: dict[str, str], timeout_seconds: float) -> tuple[int, bytes]:
        """(status, body) of /invocations. Raises EndpointNotServingError where nobody answers in time."""
        if not self.url:
            raise EndpointNotServingError(f"endpoint {self.endpoint.endpoint_name} is {self.endpoint.endpoint_status}")
        try:
            response = requests.post(f"{self.url}/invocations", data=body, headers=headers, timeout=timeout_seconds)
        except requests.RequestException as error:
            raise EndpointNotServingError(f"the container of {self.endpoint.endpoint_name} did not answer: {error}") from error
        return response.status_code, response.content

    def start(self) -> None:
        """Start the process and return once it answers /ping. Raises EndpointNotServingError."""
        port = _free_port()
        self.process = ChildProcess(
            [sys.executable, "-I", str(_SERVER), str(self.folder), str(port)], self.environment, self.log, self.folder
        )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if (code := self.process.exit_code()) is not None:
                raise EndpointNotServingError(f"the container ended with {code}; see {self.log}")
            try:
                requests.get(f"http://127.0.0.1:{port}/ping", timeout=_START_SECONDS)
            except requests.ConnectionError:
                time.sleep(_PING_SECONDS)
                continue
            self.url = f"http://127.0.0.1:{port}"
            return
        raise EndpointNotServingError(f"the container did not answer /ping in {_START_SECONDS:.0f} s; see {self.log}")

    def stop(self) -> None:
        self.stopping.set()
        if self.process:
            self.process.kill()


class Endpoints:
    """All endpoints of the emulator, by name."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._containers: dict[str, Container] = {}
        self._lock = threading.Lock()

    def container(self, name: str) -> Container:
        """Raises KeyError for an endpoint that does not exist."""
        return self._containers[name]

    def create(self, endpoint: FakeEndpoint) -> None:
        endpoint.endpoint_status = "Creating"
        sagemaker = self._surroundings.client("sagemaker")
        # In the background: CloudFormation's call must not wait for a model to load.
        threading.Thread(target=self._bring_up, args=(endpoint, sagemaker), daemon=True).start()

    def delete(self, name: str) -> None:
        with self._lock:
            container = self._containers.pop(name, None)
        if container:
            container.stop()

    def stop(self) -> None:
        for name in list(self._containers):
            self.delete(name)

    def _bring_up(self, endpoint: FakeEndpoint, sagemaker: Any) -> None:
        try:
            container = self._unpacked(endpoint, sagemaker)
            with self._lock:
                self._containers[endpoint.endpoint_name] = container
            container.start()
        except (EndpointNotServingError, ClientError, tarfile.TarError, OSError, ValueError) as error:
            endpoint.endpoint_status = "Failed"
            endpoint.failure_reason = str(error)  # type: ignore[assignment]  # moto never sets it
            _log.exception("endpoint %s", endpoint.endpoint_name)
            return
        endpoint.endpoint_status = "InService"
        self._keep_up(container)

    def _keep_up(self, container: Container) -> None:
        while container.process:
            code = container.process.wait()
            if container.stopping.is_set():
                return
            _log.warning("the container of %s ended with %d; starting it again", container.endpoint.endpoint_name, code)
            container.url = ""
            try:
                container.start()
            except EndpointNotServingError:
                _log.exception("endpoint %s", container.endpoint.endpoint_name)

    def _unpacked(self, endpoint: FakeEndpoint, sagemaker: Any) -> Container:
        config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint.endpoint_config_name)
        variant = config["ProductionVariants"][0]
        model = sagemaker.describe_model(ModelName=variant["ModelName"])["PrimaryContainer"]
        folder = self._surroundings.state / "endpoints" / endpoint.endpoint_name
        shutil.rmtree(folder, ignore_errors=True)
        model_folder = folder / "model"
        model_folder.mkdir(parents=True)
        fetch_model(self._surroundings.client("s3"), model, model_folder)
        temporary = folder / "tmp"
        temporary.mkdir()
        return Container(
            endpoint=endpoint,
            config=config,
            folder=model_folder,
            # What the image sets and the model's own variables; no credentials: the endpoint is network-isolated.
            environment={
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "HOME": str(folder),
                "TMPDIR": str(temporary),
                **{name: str(value) for name, value in model.get("Environment", {}).items()},
            },
            log=self._surroundings.logs / "endpoints" / f"{endpoint.endpoint_name}.log",
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def install(surroundings: Surroundings) -> Endpoints:
    endpoints = Endpoints(surroundings)

    def create(self: SageMakerModelBackend, *args: Any, **kwargs: Any) -> FakeEndpoint:
        endpoint: FakeEndpoint = create_in_moto(self, *args, **kwargs)
        endpoints.create(endpoint)
        return endpoint

    def delete(self: SageMakerModelBackend, endpoint_name: str) -> None:
        delete_in_moto(self, endpoint_name)
        endpoints.delete(endpoint_name)

    create_in_moto = replace(SageMakerModelBackend, "create_endpoint", create)
    delete_in_moto = replace(SageMakerModelBackend, "delete_endpoint", delete)
    return endpoints
