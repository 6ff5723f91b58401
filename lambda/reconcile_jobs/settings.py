"""The function's settings, read from its environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from whisperstack_contract import variables
from whisperstack_contract.job_times import JobTimes


@dataclass(frozen=True)
class Settings:
    """Names as infra set them; queues by their URLs. slots: as in submit_transcription."""

    job_table: str
    audio_bucket: str
    transcripts_bucket: str
    announcements_topic: str
    intake_queue: str
    results_queue: str
    times: JobTimes
    slots: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises KeyError for a variable that is not set."""
        return cls(
            job_table=environment[variables.JOB_TABLE],
            audio_bucket=environment[variables.AUDIO_BUCKET],
            transcripts_bucket=environment[variables.TRANSCRIPTS_BUCKET],
            announcements_topic=environment[variables.ANNOUNCEMENTS_TOPIC],
            intake_queue=environment[variables.INTAKE_QUEUE],
            results_queue=environment[variables.RESULTS_QUEUE],
            times=JobTimes.from_json(environment[variables.JOB_TIMES]),
            slots=int(environment[variables.ENDPOINT_SLOTS]),
        )
