"""The function's settings, read from its environment."""

from dataclasses import dataclass, field

from transcription_jobs.settings import EnvironmentSettings, variable
from whisperstack_contract import variables


@dataclass(frozen=True)
class Settings(EnvironmentSettings):
    """audio_bucket: of an asynchronous endpoint; None for a real-time one. wait_seconds: for the transcript."""

    endpoint_name: str = field(metadata=variable(variables.ENDPOINT_NAME))
    audio_bucket: str | None = field(metadata=variable(variables.AUDIO_BUCKET, optional=True))
    wait_seconds: int = field(metadata=variable(variables.CANARY_WAIT_SECONDS, int))
