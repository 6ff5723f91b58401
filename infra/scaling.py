"""How many instances an endpoint has, and when."""

from dataclasses import dataclass
from typing import Final
from zoneinfo import available_timezones

from infra.errors import ConfigurationError, require_range
from infra.schedules import problem_of_cron
from infra.settings import Settings

# Source: CloudWatch API, PutMetricAlarm: period times evaluation periods is at most one day. The alarm counts whole minutes.
_MOST_IDLE_MINUTES: Final = 24 * 60

# A limit of ours: SageMaker's is the account's quota for the instance type.
_MOST_INSTANCES: Final = 100


@dataclass(frozen=True)
class BacklogScalingSettings(Settings):
    """backlog_per_instance: recordings, queued or running, that one instance should have; more of them add instances.

    min_instances: that are there without work as well; 0 costs nothing then. max_instances: however much work there is.
    cooldown_seconds: between two additions. wake_cooldown_seconds: after a start from zero, which takes minutes.
    idle_minutes: with nothing queued or running, until the endpoint goes to min_instances.
    partial_scale_in: removes single instances as the backlog shrinks. SageMaker ends what runs on them, so it is off.
    """

    min_instances: int = 0
    max_instances: int = 3
    backlog_per_instance: float = 3
    cooldown_seconds: int = 60
    wake_cooldown_seconds: int = 300
    idle_minutes: int = 10
    partial_scale_in: bool = False

    def __post_init__(self) -> None:
        require_range("max_instances", self.max_instances, 1, _MOST_INSTANCES)
        require_range("idle_minutes", self.idle_minutes, 1, _MOST_IDLE_MINUTES)
        require_range("cooldown_seconds", self.cooldown_seconds, 0, 3600)
        require_range("wake_cooldown_seconds", self.wake_cooldown_seconds, 60, 3600)
        require_range("backlog_per_instance", self.backlog_per_instance, 0.1, 1000)
        if not 0 <= self.min_instances <= self.max_instances:
            raise ConfigurationError(
                f"min_instances is {self.min_instances}; it must be 0 to max_instances, which is {self.max_instances}; "
                "lower it, or raise max_instances"
            )


@dataclass(frozen=True)
class OpeningHours(Settings):
    """When a real-time endpoint is expected to be used. Outside, it keeps `instances_outside`.

    opens: a cron expression of Application Auto Scaling with six fields, in the time zone. closes: such an expression as well.
    timezone: a name of the tz database, such as 'Europe/Paris'. instances_outside: when it is closed.
    """

    opens: str = "cron(0 7 ? * MON-FRI *)"
    closes: str = "cron(0 19 ? * MON-FRI *)"
    timezone: str = "Etc/UTC"
    instances_outside: int = 1

    def __post_init__(self) -> None:
        for name, value in (("opens", self.opens), ("closes", self.closes)):
            if problem := problem_of_cron(value):
                raise ConfigurationError(f"{name} is {value!r}; {problem}, such as in 'cron(0 7 ? * MON-FRI *)'; change it")
        if self.opens == self.closes:
            raise ConfigurationError(f"opens and closes are both {self.opens!r}; one would undo the other; change one of them")
        if self.timezone not in available_timezones():
            raise ConfigurationError(f"timezone is {self.timezone!r}; use a name of the tz database, such as 'Europe/Paris'")
        require_range("instances_outside", self.instances_outside, 1, _MOST_INSTANCES)


@dataclass(frozen=True)
class ConcurrencyScalingSettings(Settings):
    """utilisation: the share of an instance's workers that should be busy; more of them add instances.

    min_instances: without requests as well. max_instances: however many requests there are.
    scale_out_cooldown_seconds: between two additions; a new instance takes minutes to answer.
    scale_in_cooldown_seconds: between two removals.
    hours: when the endpoint is used; None keeps it open all the time.
    """

    min_instances: int = 1
    max_instances: int = 3
    utilisation: float = 0.7
    scale_out_cooldown_seconds: int = 60
    scale_in_cooldown_seconds: int = 300
    hours: OpeningHours | None = None

    def __post_init__(self) -> None:
        require_range("max_instances", self.max_instances, 1, _MOST_INSTANCES)
        require_range("utilisation", self.utilisation, 0.1, 1)
        require_range("scale_out_cooldown_seconds", self.scale_out_cooldown_seconds, 0, 3600)
        require_range("scale_in_cooldown_seconds", self.scale_in_cooldown_seconds, 0, 3600)
        if not 1 <= self.min_instances <= self.max_instances:
            raise ConfigurationError(
                f"min_instances is {self.min_instances}; a real-time endpoint has 1 to max_instances, which is "
                f"{self.max_instances}; change one of them, or switch the endpoint off"
            )
        if self.hours is not None and self.hours.instances_outside > self.min_instances:
            raise ConfigurationError(
                f"instances_outside is {self.hours.instances_outside}; it must be 1 to min_instances, which is "
                f"{self.min_instances}; lower it"
            )

    @property
    def least_instances(self) -> int:
        """At any time of the day."""
        return self.min_instances if self.hours is None else self.hours.instances_outside
