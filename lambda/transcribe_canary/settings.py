"""The function's settings, read from its environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from whisperstack_contract import variables


@dataclass(frozen=True)
class Settings:
    """audio_bucket: of an asynchronous endpoint; None for a real-time one. wait_seconds: for the transcript."""

    endpoint_name: str
    audio_bucket: str | None
    wait_seconds: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises KeyError for a variable that is not set."""
        return cls(
            endpoint_name=environment[variables.ENDPOINT_NAME],
            audio_bucket=environment.get(variables.AUDIO_BUCKET),
            wait_seconds=int(environment[variables.CANARY_WAIT_SECONDS]),
        )
