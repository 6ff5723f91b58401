"""The environment variables of the serving stacks: what they must be told so that they serve recordings.

Their own defaults would refuse a body over 6.5 MB and kill an invocation after a minute or two. Source of the names: the code
of multi-model-server 1.1.11 with sagemaker-huggingface-inference-toolkit 2.6.0, and of torchserve 0.12.0 with
sagemaker-pytorch-inference 2.0.25. `make serving-test` runs both with what the templates hold.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from infra.errors import ConfigurationError
from infra.instances import InstanceType
from whisperstack_contract.limits import CHUNK_LENGTH_SECONDS as LONGEST_CHUNK
from whisperstack_contract.limits import CHUNK_LENGTH_SECONDS_LEAST as SHORTEST_CHUNK
from whisperstack_contract.variables import CHUNK_LENGTH_SECONDS, EXACT, FAST, NUMERICS

# The serving stack must outlast the invocation: when it gives up first, it kills the worker and with it the next requests.
_TIMEOUT_MARGIN_SECONDS: Final = 60

_DECIMAL: Final = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True)
class ServingLimits:
    """What an inference option asks of the container. payload_bytes: the largest request, and the largest answer.

    queued_requests: how many may wait for a worker before the stack answers 503; None leaves it at the stack's hundred.
    """

    invocation_timeout_seconds: int
    payload_bytes: int
    workers: int
    queued_requests: int | None = None


@dataclass(frozen=True)
class _Stack:
    """timeouts, sizes, workers, queue: what a longer answer, a larger body, more copies of the model and the number of
    requests that may wait for one are called.

    least_seconds, least_bytes: the values of the AWS article on hosting Whisper that this project implements.
    """

    timeouts: tuple[str, ...]
    sizes: tuple[str, ...]
    workers: str
    queue: str
    least_seconds: int
    least_bytes: int


_STACKS: Final[Mapping[str, _Stack]] = MappingProxyType(
    {
        "mms": _Stack(
            ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", "MMS_DEFAULT_RESPONSE_TIMEOUT"),
            ("MMS_MAX_REQUEST_SIZE", "MMS_MAX_RESPONSE_SIZE"),
            "MMS_DEFAULT_WORKERS_PER_MODEL",
            "MMS_JOB_QUEUE_SIZE",
            least_seconds=900,
            least_bytes=2_000_000_000,
        ),
        "torchserve": _Stack(
            # SAGEMAKER_MODEL_SERVER_TIMEOUT is ignored here.
            ("TS_DEFAULT_RESPONSE_TIMEOUT",),
            ("TS_MAX_REQUEST_SIZE", "TS_MAX_RESPONSE_SIZE"),
            "TS_DEFAULT_WORKERS_PER_MODEL",
            "TS_JOB_QUEUE_SIZE",
            least_seconds=1000,
            least_bytes=100_000_000,
        ),
    }
)


def require_floors(variables: Mapping[str, str], limits: ServingLimits) -> None:
    """Raises ConfigurationError for a variable that would make the stack give up before SageMaker does, or refuse a body.

    Also for a chunk that the model cannot hear at once, and unknown numerics: the container would refuse every request.
    """
    chunk = variables.get(CHUNK_LENGTH_SECONDS)
    if chunk is not None and not (_DECIMAL.fullmatch(chunk) and SHORTEST_CHUNK <= float(chunk) <= LONGEST_CHUNK):
        raise ConfigurationError(
            f"{CHUNK_LENGTH_SECONDS} is {chunk!r}; it must be {SHORTEST_CHUNK} to {LONGEST_CHUNK}; change it"
        )
    numerics = variables.get(NUMERICS)
    if numerics not in (None, EXACT, FAST):
        raise ConfigurationError(f"{NUMERICS} is {numerics!r}; it must be {EXACT!r} or {FAST!r}; change it")
    floors: dict[str, int] = {}
    for stack in _STACKS.values():
        floors |= dict.fromkeys(stack.timeouts, limits.invocation_timeout_seconds)
        floors |= dict.fromkeys(stack.sizes, limits.payload_bytes)
    for name, floor in floors.items():
        value = variables.get(name)
        if value is not None and not (value.isdecimal() and int(value) >= floor):
            raise ConfigurationError(f"{name} is {value!r}; it must be at least {floor}; raise it, or leave it to the default")


def serving_variables(stack: str, limits: ServingLimits, instance: InstanceType) -> dict[str, str]:
    """stack: as in images.json. Raises ConfigurationError for one that takes none of these limits."""
    if stack not in _STACKS:
        raise ConfigurationError(
            f"the serving stack {stack!r} takes no request as raw audio, which asynchronous and batch inference send; "
            "use it for real-time only"
        )
    names = _STACKS[stack]
    seconds = max(names.least_seconds, limits.invocation_timeout_seconds + _TIMEOUT_MARGIN_SECONDS)
    variables = dict.fromkeys(names.timeouts, str(seconds))
    variables |= dict.fromkeys(names.sizes, str(max(names.least_bytes, limits.payload_bytes)))
    variables[names.workers] = str(limits.workers)
    if limits.queued_requests is not None:
        variables[names.queue] = str(limits.queued_requests)
    if not instance.has_gpu:
        # Unset, the image runs torch on one thread.
        variables["OMP_NUM_THREADS"] = str(max(1, instance.vcpus // limits.workers))
    return {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
        **variables,
    }
