"""SageMaker endpoints: for each, a process that serves the deployed model.tar.gz.

`Creating` lasts until the container answers `/ping`; an archive that is not there or does not unpack gives `Failed` with the
reason; a container that dies is started again, as SageMaker does.
"""

import logging
import tarfile
import threading
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from moto.sagemaker.models import FakeEndpoint, SageMakerModelBackend

from local.emulator.containers import ContainerError, ModelContainer, prepare_model
from local.emulator.surroundings import Surroundings, replace

_log = logging.getLogger(__name__)


@dataclass
class _OfEndpoint:
    """role: the model's, under which SageMaker moves what requests bring and what becomes of them."""

    endpoint: FakeEndpoint
    config: dict[str, Any]
    role: str


@dataclass
class Container(ModelContainer, _OfEndpoint):
    """One endpoint's process."""


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
        except (ContainerError, ClientError, tarfile.TarError, OSError, ValueError) as error:
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
            except ContainerError:
                _log.exception("endpoint %s", container.endpoint.endpoint_name)

    def _unpacked(self, endpoint: FakeEndpoint, sagemaker: Any) -> Container:
        config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint.endpoint_config_name)
        variant = config["ProductionVariants"][0]
        described = sagemaker.describe_model(ModelName=variant["ModelName"])
        model, role = described["PrimaryContainer"], described["ExecutionRoleArn"]
        name = endpoint.endpoint_name
        folder, environment = prepare_model(self._surroundings, model, role, self._surroundings.state / "endpoints" / name, {})
        log = self._surroundings.logs / "endpoints" / f"{name}.log"
        return Container(
            endpoint=endpoint, config=config, role=role, name=name, folder=folder, environment=environment, log=log
        )


def install(surroundings: Surroundings) -> Endpoints:
    endpoints = Endpoints(surroundings)

    def create(self: SageMakerModelBackend, *args: Any, **kwargs: Any) -> FakeEndpoint:
        endpoint: FakeEndpoint = create_in_moto(self, *args, **kwargs)
        endpoints.create(endpoint)
        return endpoint

    def delete(self: SageMakerModelBackend, endpoint_name: str) -> None:
        delete_in_moto(self, endpoint_name)
        endpoints.delete(endpoint_name)

    def create_as_named(
        cls: type[FakeEndpoint], name: str, resource: dict[str, Any], *args: Any, **kwargs: Any
    ) -> FakeEndpoint:
        # moto makes up a name, whatever the template says.
        name = resource["Properties"].get("EndpointName", name)
        made: FakeEndpoint = create_from_template(cls, name, resource, *args, **kwargs)
        return made

    create_from_template = replace(FakeEndpoint, "create_from_cloudformation_json", classmethod(create_as_named))  # type: ignore[arg-type]
    create_in_moto = replace(SageMakerModelBackend, "create_endpoint", create)
    delete_in_moto = replace(SageMakerModelBackend, "delete_endpoint", delete)
    return endpoints
