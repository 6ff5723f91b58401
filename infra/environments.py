"""One value object for each environment. Constructs get the values and never learn the environment's name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from traceback import extract_tb
from typing import Final, TypeVar

from aws_cdk.aws_logs import RetentionDays

from infra.errors import ConfigurationError
from infra.governance import GovernanceSettings
from infra.images import find_image
from infra.inference_options import AsynchronousSettings, BatchSettings, RealtimeSettings, TrafficShift, UpdateSettings
from infra.instances import Hardware
from infra.network import NetworkSettings
from infra.operations import OperationsSettings
from infra.retention import RetentionSettings
from infra.scaling import ConcurrencyScalingSettings
from infra.served_model import ModelLayout, ServedModel
from infra.settings import Settings
from whisperstack_contract.errors import InvalidOptionsError
from whisperstack_contract.job_times import JobTimes

_ACCOUNT: Final = re.compile(r"\d{12}")
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
# They become part of stack and endpoint names, which may have 63 characters.
_NAME: Final = re.compile(r"[a-z][a-z0-9]{0,11}")

_Settings = TypeVar("_Settings", bound=ServedModel)


@dataclass(frozen=True)
class Environment(Settings):
    """name: becomes part of the names of stacks and endpoints. log_retention: of every log group.

    account: of AWS; None leaves the choice to the credentials at deployment. region: such as 'eu-west-1'; None as for account.

    The inference options are each switched off by leaving them out, and each has its own engine, model, image and instances.
    asynchronous: uploads in, transcripts out, with instances while there is work. batch: many uploads, by transform jobs.
    realtime: endpoints that answer at once, by name, so that several engines can be had side by side.
    retention: how long what lies in the buckets is kept. operations: whom alarms and the budget tell, and when.
    retain_data: whether buckets, key, table and topic survive the deletion of their stack.
    network: of the environment's own, for functions and model containers; None leaves them in those of Lambda and SageMaker.
    governance: what the account's owners ask of roles and resources.
    """

    name: str
    retain_data: bool
    log_retention: RetentionDays
    asynchronous: AsynchronousSettings | None = None
    realtime: Mapping[str, RealtimeSettings] = field(default_factory=dict)
    batch: BatchSettings | None = None
    account: str | None = None
    region: str | None = None
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    operations: OperationsSettings = field(default_factory=OperationsSettings)
    network: NetworkSettings | None = None
    governance: GovernanceSettings = field(default_factory=GovernanceSettings)

    def __post_init__(self) -> None:
        for name in (self.name, *self.realtime):
            if not _NAME.fullmatch(name):
                raise ConfigurationError(
                    f"the name {name!r} must be 1 to 12 lower-case letters and digits; shorten or change it"
                )
        if self.account is not None and not _ACCOUNT.fullmatch(self.account):
            raise ConfigurationError(f"account is {self.account!r}; it must have 12 digits; correct it, or set None")
        if self.region is not None and not _REGION.fullmatch(self.region):
            raise ConfigurationError(f"region is {self.region!r}; it must be such as 'eu-west-1'; correct it, or set None")
        if not self.options:
            raise ConfigurationError(f"{self.name!r} has no inference option; give it asynchronous, realtime or batch")
        self._require_internet()
        if self.operations.enforce_instance_hours and any(each.scaling.hours for each in self.realtime.values()):
            raise ConfigurationError(
                "enforce_instance_hours is set and a real-time endpoint has hours; both would set its limits; use one of them"
            )

    @property
    def options(self) -> dict[str, ServedModel]:
        """Every model that is deployed, by the name of its option."""
        found: dict[str, ServedModel | None] = {"asynchronous": self.asynchronous, "batch": self.batch}
        found |= {f"realtime {name}": settings for name, settings in self.realtime.items()}
        return {name: settings for name, settings in found.items() if settings is not None}

    @property
    def artefacts(self) -> tuple[tuple[str, str], ...]:
        """(engine, model) of every artefact that a deployment needs, each once."""
        needed = [(option.engine, option.model) for option in self.options.values() if option.needs_release]
        return tuple(dict.fromkeys(needed))

    @property
    def unpacked(self) -> tuple[tuple[str, str], ...]:
        """(engine, model) of those artefacts that an endpoint serves as their files."""
        needed = [(option.engine, option.model) for option in self.options.values() if option.layout is ModelLayout.UNPACKED]
        return tuple(dict.fromkeys(needed))

    @property
    def without_decoder(self) -> tuple[tuple[str, str], ...]:
        """(engine, model) of those artefacts that run in an image without ffmpeg, and so must carry one."""
        needed = [
            (option.engine, option.model)
            for option in self.options.values()
            if option.needs_release and not find_image(option.image, option.engine, option.hardware).has_ffmpeg
        ]
        return tuple(dict.fromkeys(needed))

    def serving(self, engine: str | None, model: str | None, layout: str | None = None) -> "Environment":
        """The same environment with another engine or model everywhere, or another layout for its endpoints.

        None keeps each its own. Raises ConfigurationError.
        """
        if layout is not None and layout not in list(ModelLayout):
            raise ConfigurationError(f"layout is {layout!r}; choose one of: {', '.join(ModelLayout)}")

        def chosen(settings: _Settings) -> _Settings:
            if not settings.needs_release:
                return settings
            its_layout = settings.layout if layout is None or isinstance(settings, BatchSettings) else ModelLayout(layout)
            return replace(settings, engine=engine or settings.engine, model=model or settings.model, layout=its_layout)

        return replace(
            self,
            asynchronous=self.asynchronous and chosen(self.asynchronous),
            realtime={name: chosen(settings) for name, settings in self.realtime.items()},
            batch=self.batch and chosen(self.batch),
        )

    def _require_internet(self) -> None:
        """Raises ConfigurationError where something needs the internet, or another one than AWS's, and does not get it."""
        for name, settings in self.options.items():
            if settings.hub is not None and (self.retain_data or self.network is not None):
                why = "that keeps its data may not" if self.retain_data else "whose network has no way to the internet cannot"
                raise ConfigurationError(
                    f"{name} of {self.name!r} runs {settings.hub.model_id} from the hub, which needs the internet at every "
                    f"start; an environment {why}; build an artefact of that model"
                )
        if self.network is not None and (self.region or "").startswith("cn-"):
            raise ConfigurationError(
                f"network is set in {self.region!r}, where the endpoints of services have other names; set network to None, or "
                "choose a region outside China"
            )


def _made() -> tuple[Environment, ...]:
    return (
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
                # Somebody watches: a failure is tried again within the minute, and told within a few.
                job_times=JobTimes(intake=60, look=60, announcing=200, first_retry=10, retry_factor=2),
                reconcile_minutes=1,
            ),
            realtime={
                "main": RealtimeSettings(
                    engine="pytorch",
                    model="tiny.en",
                    hardware=Hardware.CPU,
                    instance_type="ml.m5.large",
                    max_audio_seconds=2 * 60,
                )
            },
            batch=BatchSettings(
                engine="pytorch",
                model="tiny.en",
                hardware=Hardware.CPU,
                instance_type="ml.m5.large",
                max_audio_seconds=1 * 3600,
                # So small that a handful of recordings makes several jobs, and a long one goes to the asynchronous endpoint.
                payload_mib=8,
                shard_mib=1,
                jobs_at_a_time=2,
                poll_seconds=1,
            ),
        ),
        Environment(
            name="dev",
            retain_data=False,
            log_retention=RetentionDays.ONE_MONTH,
            # No real-time endpoint: it costs money while nobody uses it.
            asynchronous=AsynchronousSettings(
                engine="pytorch",
                model="base.en",
                hardware=Hardware.GPU,
                instance_type="ml.g4dn.xlarge",
                max_audio_seconds=4 * 3600,
            ),
            batch=BatchSettings(
                engine="pytorch",
                model="base.en",
                hardware=Hardware.GPU,
                instance_type="ml.g4dn.xlarge",
                max_audio_seconds=4 * 3600,
            ),
        ),
        Environment(
            name="staging",
            retain_data=False,
            log_retention=RetentionDays.THREE_MONTHS,
            asynchronous=AsynchronousSettings(
                engine="pytorch",
                model="large-v3-turbo",
                hardware=Hardware.GPU,
                instance_type="ml.g5.xlarge",
                max_audio_seconds=4 * 3600,
            ),
            realtime={
                "main": RealtimeSettings(
                    engine="pytorch",
                    model="large-v3-turbo",
                    hardware=Hardware.GPU,
                    instance_type="ml.g5.xlarge",
                    max_audio_seconds=5 * 60,
                )
            },
            batch=BatchSettings(
                engine="pytorch",
                model="large-v3-turbo",
                hardware=Hardware.GPU,
                instance_type="ml.g5.xlarge",
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
            realtime={
                "main": RealtimeSettings(
                    engine="pytorch",
                    model="large-v3-turbo",
                    hardware=Hardware.GPU,
                    instance_type="ml.g5.xlarge",
                    max_audio_seconds=5 * 60,
                    scaling=ConcurrencyScalingSettings(min_instances=2, max_instances=4),
                    updates=UpdateSettings(traffic=TrafficShift.CANARY),
                )
            },
            batch=BatchSettings(
                engine="pytorch",
                model="large-v3-turbo",
                hardware=Hardware.GPU,
                instance_type="ml.g5.xlarge",
                max_audio_seconds=4 * 3600,
            ),
        ),
    )


@cache
def _environments() -> tuple[Environment, ...]:
    """Raises ConfigurationError, with the line, for a value that cannot be."""
    try:
        made = _made()
    except (ConfigurationError, InvalidOptionsError, TypeError, ValueError) as error:
        line = next(each.lineno for each in reversed(extract_tb(error.__traceback__)) if each.name == _made.__name__)
        raise ConfigurationError(f"{error} (line {line} of infra/environments.py)") from error
    names = [environment.name for environment in made]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ConfigurationError(f"{names.count(twice[0])} environments have the name {twice[0]!r}; give each one of its own")
    return made


def find_environment(name: str) -> Environment:
    """Raises ConfigurationError for a name that stands for none."""
    for environment in _environments():
        if environment.name == name:
            return environment
    raise ConfigurationError(f"there is no environment {name!r}; choose one of: {', '.join(environment_names())}")


def environment_names() -> list[str]:
    return [environment.name for environment in _environments()]
