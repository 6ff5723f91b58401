"""The function's settings, read from its environment."""

from dataclasses import dataclass, field

from transcription_jobs.settings import JobSettings, variable
from whisperstack_contract import variables


@dataclass(frozen=True, kw_only=True)
class Settings(JobSettings):
    """Queues by their URLs. slots: as in submit_transcription."""

    intake_queue: str = field(metadata=variable(variables.INTAKE_QUEUE))
    results_queue: str = field(metadata=variable(variables.RESULTS_QUEUE))
    slots: int = field(metadata=variable(variables.ENDPOINT_SLOTS, int))
