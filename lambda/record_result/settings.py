"""The function's settings, read from its environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from whisperstack_contract import variables
from whisperstack_contract.job_times import JobTimes
from whisperstack_contract.receipt import Instances


@dataclass(frozen=True)
class Settings:
    """Names as infra set them. times: of a job; slots: as in submit_transcription; instances: what transcripts cost by."""

    job_table: str
    audio_bucket: str
    transcripts_bucket: str
    announcements_topic: str
    times: JobTimes
    slots: int
    instances: Instances

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises KeyError for a variable that is not set."""
        return cls(
            job_table=environment[variables.JOB_TABLE],
            audio_bucket=environment[variables.AUDIO_BUCKET],
            transcripts_bucket=environment[variables.TRANSCRIPTS_BUCKET],
            announcements_topic=environment[variables.ANNOUNCEMENTS_TOPIC],
            times=JobTimes.from_json(environment[variables.JOB_TIMES]),
            slots=int(environment[variables.ENDPOINT_SLOTS]),
            instances=Instances.from_json(environment[variables.INSTANCES]),
        )
