"""One value object for each environment. Constructs get the values and never learn the environment's name."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from aws_cdk.aws_logs import RetentionDays

from infra.errors import ConfigurationError, require_range
from infra.gpu_workers import require_workers
from infra.images import DEFAULT_IMAGE
from infra.instances import Hardware, InstanceType
from infra.operations import OperationsSettings
from infra.retention import RetentionSettings
from infra.scaling import BacklogScalingSettings
from infra.serving_variables import ServingLimits
from whisperstack_contract.limits import ASYNC_INVOCATION_TIMEOUT_SECONDS, ASYNC_PAYLOAD_BYTES
from whisperstack_contract.options import TranscriptionOptions

# Source: openai-whisper 20250625, whisper.available_models(). 'large' and 'turbo' are left out: what they mean moves with the
# package, and a release is named by what it holds.
WHISPER_MODELS: Final = (
    *("tiny.en", "tiny", "base.en", "base", "small.en", "small", "medium.en", "medium"),
    *("large-v1", "large-v2", "large-v3", "large-v3-turbo"),
)


@dataclass(frozen=True)
class AsynchronousSettings:
    """The asynchronous endpoint.

    workers: copies of the model in one instance, and so the invocations that it takes at a time.
    invocation_timeout_seconds: how long one recording may take before the serving stack gives it up.
    max_audio_seconds: the longest recording that can be transcribed within that time on this instance.
    image: a name in infra/images.json. container_variables: of the container, over what the serving stack is told otherwise.
    """

    engine: str
    model: str
    hardware: Hardware
    instance_type: str
    max_audio_seconds: int
    workers: int = 1
    invocation_timeout_seconds: int = ASYNC_INVOCATION_TIMEOUT_SECONDS
    default_options: TranscriptionOptions = field(default_factory=TranscriptionOptions)
    image: str = DEFAULT_IMAGE
    container_variables: Mapping[str, str] = field(default_factory=dict)
    scaling: BacklogScalingSettings = field(default_factory=BacklogScalingSettings)

    def __post_init__(self) -> None:
        if self.model not in WHISPER_MODELS:
            raise ConfigurationError(f"model {self.model!r} is no Whisper model; choose one of: {', '.join(WHISPER_MODELS)}")
        require_range("invocation_timeout_seconds", self.invocation_timeout_seconds, 1, ASYNC_INVOCATION_TIMEOUT_SECONDS)
        if self.max_audio_seconds < 1:
            raise ConfigurationError(f"max_audio_seconds is {self.max_audio_seconds}; it must be at least 1; raise it")
        instance = InstanceType.parse(self.instance_type)
        if (self.hardware is Hardware.GPU) != instance.has_gpu:
            raise ConfigurationError(
                f"hardware is {self.hardware}, but {self.instance_type} has {'a' if instance.has_gpu else 'no'} GPU; "
                f"set hardware to {Hardware.GPU if instance.has_gpu else Hardware.CPU} or choose another instance type"
            )
        require_workers(self.engine, self.model, instance, self.workers)

    @property
    def instance(self) -> InstanceType:
        return InstanceType.parse(self.instance_type)

    @property
    def serving_limits(self) -> ServingLimits:
        return ServingLimits(self.invocation_timeout_seconds, ASYNC_PAYLOAD_BYTES, self.workers)


@dataclass(frozen=True)
class Environment:
    """account, region: None leaves the choice to the credentials at deployment.

    retain_data: whether buckets, key, table and topic survive the deletion of their stack.
    """

    name: str
    asynchronous: AsynchronousSettings
    retain_data: bool
    log_retention: RetentionDays
    account: str | None = None
    region: str | None = None
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    operations: OperationsSettings = field(default_factory=OperationsSettings)

    def serving(self, engine: str | None, model: str | None) -> "Environment":
        """The same environment with another engine or model; None keeps its own. Raises ConfigurationError."""
        settings = self.asynchronous
        chosen = replace(settings, engine=engine or settings.engine, model=model or settings.model)
        return replace(self, asynchronous=chosen)


_ENVIRONMENTS: Final = (
    Environment(
        name="local",
        account="123456789012",
        region="us-east-1",
        retain_data=False,
        log_retention=RetentionDays.ONE_WEEK,
        asynchronous=AsynchronousSettings(
            engine="pytorch",
            model="tiny.en",
            hardware=Hardware.CPU,
            instance_type="ml.m5.large",
            max_audio_seconds=1 * 3600,
        ),
    ),
    Environment(
        name="dev",
        retain_data=False,
        log_retention=RetentionDays.ONE_MONTH,
        asynchronous=AsynchronousSettings(
            engine="pytorch",
            model="base.en",
            hardware=Hardware.GPU,
            instance_type="ml.g4dn.xlarge",
            max_audio_seconds=4 * 3600,
        ),
    ),
    Environment(
        name="prod",
        retain_data=True,
        log_retention=RetentionDays.ONE_YEAR,
        retention=RetentionSettings(access_log_days=365),
        asynchronous=AsynchronousSettings(
            engine="pytorch",
            model="large-v3-turbo",
            hardware=Hardware.GPU,
            instance_type="ml.g5.xlarge",
            max_audio_seconds=4 * 3600,
        ),
    ),
)


def find_environment(name: str) -> Environment:
    """Raises ConfigurationError for a name that stands for none."""
    for environment in _ENVIRONMENTS:
        if environment.name == name:
            return environment
    raise ConfigurationError(f"there is no environment {name!r}; choose one of: {', '.join(environment_names())}")


def environment_names() -> list[str]:
    return [environment.name for environment in _ENVIRONMENTS]
