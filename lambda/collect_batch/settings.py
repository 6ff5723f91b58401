"""The function's settings, read from its environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from whisperstack_contract import variables
from whisperstack_contract.job_times import JobTimes
from whisperstack_contract.receipt import Instances


@dataclass(frozen=True)
class Settings:
    """Names as infra set them. instances: what transform jobs run on. job_prefix: what their names begin with.

    intake_queue: the asynchronous pipeline's, by its URL; None where there is none. reports_topic: told when a batch has ended.
    """

    job_table: str
    audio_bucket: str
    transcripts_bucket: str
    announcements_topic: str
    reports_topic: str
    intake_queue: str | None
    times: JobTimes
    instances: Instances
    job_prefix: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises KeyError for a variable that is not set."""
        return cls(
            job_table=environment[variables.JOB_TABLE],
            audio_bucket=environment[variables.AUDIO_BUCKET],
            transcripts_bucket=environment[variables.TRANSCRIPTS_BUCKET],
            announcements_topic=environment[variables.ANNOUNCEMENTS_TOPIC],
            reports_topic=environment[variables.BATCH_TOPIC],
            intake_queue=environment.get(variables.INTAKE_QUEUE),
            times=JobTimes.from_json(environment[variables.JOB_TIMES]),
            instances=Instances.from_json(environment[variables.INSTANCES]),
            job_prefix=environment[variables.BATCH_JOB_PREFIX],
        )
