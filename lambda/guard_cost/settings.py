"""The function's settings, read from its environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from whisperstack_contract import variables


@dataclass(frozen=True)
class Settings:
    """enforce: whether to take the instances away above the limit. interval_seconds: between two runs of this function."""

    endpoint_name: str
    variant_name: str
    instance_hours_a_day: float
    enforce: bool
    min_instances: int
    max_instances: int
    interval_seconds: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises KeyError for a variable that is not set, ValueError for one that is no number."""
        return cls(
            endpoint_name=environment[variables.ENDPOINT_NAME],
            variant_name=environment[variables.VARIANT_NAME],
            instance_hours_a_day=float(environment[variables.INSTANCE_HOURS_A_DAY]),
            enforce=environment[variables.ENFORCE_INSTANCE_HOURS] == "true",
            min_instances=int(environment[variables.MIN_INSTANCES]),
            max_instances=int(environment[variables.MAX_INSTANCES]),
            interval_seconds=int(environment[variables.GUARD_INTERVAL_SECONDS]),
        )
