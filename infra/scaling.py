"""How many instances an asynchronous endpoint has, and when."""

from dataclasses import dataclass
from typing import Final

from infra.errors import ConfigurationError, require_range

# Source: CloudWatch API, PutMetricAlarm: period times evaluation periods is at most one day. The alarm counts whole minutes.
_MOST_IDLE_MINUTES: Final = 24 * 60

# A limit of ours: SageMaker's is the account's quota for the instance type.
_MOST_INSTANCES: Final = 100


@dataclass(frozen=True)
class BacklogScalingSettings:
    """backlog_per_instance: recordings, queued or running, that one instance should have; more of them add instances.

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
