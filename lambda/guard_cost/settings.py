"""The function's settings, read from its environment."""

from dataclasses import dataclass, field

from transcription_jobs.settings import EnvironmentSettings, is_true, variable
from whisperstack_contract import variables


@dataclass(frozen=True)
class Settings(EnvironmentSettings):
    """enforce: whether to take the instances away above the limit. interval_seconds: between two runs of this function."""

    endpoint_name: str = field(metadata=variable(variables.ENDPOINT_NAME))
    variant_name: str = field(metadata=variable(variables.VARIANT_NAME))
    instance_hours_a_day: float = field(metadata=variable(variables.INSTANCE_HOURS_A_DAY, float))
    enforce: bool = field(metadata=variable(variables.ENFORCE_INSTANCE_HOURS, is_true))
    min_instances: int = field(metadata=variable(variables.MIN_INSTANCES, int))
    max_instances: int = field(metadata=variable(variables.MAX_INSTANCES, int))
    interval_seconds: int = field(metadata=variable(variables.GUARD_INTERVAL_SECONDS, int))
