"""The serving image of an engine: where each region keeps it, and the variables that its serving stack needs.

The table is images.json. It is data, so that a newer tag is a change of one line and a diff that a person can read.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from infra.environments import AsynchronousSettings, Hardware
from infra.errors import ConfigurationError
from whisperstack_contract.limits import ASYNC_PAYLOAD_BYTES

_TABLE: Final = Path(__file__).with_name("images.json")

# The serving stack must outlast the invocation: when it gives up first, it kills the worker and with it the next requests.
_TIMEOUT_MARGIN_SECONDS: Final = 60


@dataclass(frozen=True)
class ServingImage:
    """accounts: region → account of the registry there. inference_ami_version: of the host, or None for its default."""

    repository: str
    tag: str
    accounts: Mapping[str, str]
    inference_ami_version: str | None

    def require_region(self, region: str) -> None:
        """Raises ConfigurationError where `region` does not have this image."""
        if region not in self.accounts:
            raise ConfigurationError(
                f"region {region!r} has no image {self.repository}; choose one of: {', '.join(sorted(self.accounts))}"
            )


def find_image(engine: str, hardware: Hardware) -> ServingImage:
    """Raises ConfigurationError for an engine that no image serves."""
    table = json.loads(_TABLE.read_text())
    if engine not in table["engines"]:
        raise ConfigurationError(f"engine {engine!r} has no serving image; choose one of: {', '.join(table['engines'])}")
    return ServingImage(
        repository=table["repository"],
        tag=table["tags"][hardware],
        accounts=MappingProxyType(table["accounts"]),
        # The default host driver is too old for the image's CUDA 12.4. Source: SageMaker API, ProductionVariant.
        inference_ami_version=table["gpu_inference_ami_version"] if hardware is Hardware.GPU else None,
    )


def serving_variables(settings: AsynchronousSettings) -> dict[str, str]:
    """Environment variables of Multi Model Server and its SageMaker toolkits for an asynchronous endpoint.

    Its own defaults would refuse a body over 6.5 MB and kill an invocation after 60 s.
    Source: multi-model-server 1.1.11 and sagemaker-huggingface-inference-toolkit 2.6.0, each variable tried in turn.
    """
    timeout_seconds = str(settings.invocation_timeout_seconds + _TIMEOUT_MARGIN_SECONDS)
    variables = {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT": timeout_seconds,
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": timeout_seconds,
        "MMS_DEFAULT_RESPONSE_TIMEOUT": timeout_seconds,
        "MMS_MAX_REQUEST_SIZE": str(ASYNC_PAYLOAD_BYTES),
        "MMS_MAX_RESPONSE_SIZE": str(ASYNC_PAYLOAD_BYTES),
        "MMS_DEFAULT_WORKERS_PER_MODEL": str(settings.workers),
    }
    if settings.hardware is Hardware.CPU:
        # Unset, the image runs torch on one thread.
        variables["OMP_NUM_THREADS"] = str(settings.instance.vcpus // settings.workers)
    return variables
