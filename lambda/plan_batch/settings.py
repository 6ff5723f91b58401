"""The function's settings, read from its environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from whisperstack_contract import variables
from whisperstack_contract.batch_limits import BatchLimits
from whisperstack_contract.job_times import JobTimes
from whisperstack_contract.options import PartialOptions


@dataclass(frozen=True)
class Settings:
    """Names as infra set them; options and prompts as in submit_transcription. model_digest: the model of transform jobs.

    job_prefix: what transform jobs' names begin with. leftovers: whether asynchronous inference takes what a batch cannot.
    """

    job_table: str
    audio_bucket: str
    transcripts_bucket: str
    announcements_topic: str
    default_options: PartialOptions
    prompts_from_metadata: bool
    model_digest: str
    times: JobTimes
    limits: BatchLimits
    job_prefix: str
    leftovers: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises KeyError for a variable that is not set, LimitError and InvalidOptionsError for values that cannot be."""
        return cls(
            job_table=environment[variables.JOB_TABLE],
            audio_bucket=environment[variables.AUDIO_BUCKET],
            transcripts_bucket=environment[variables.TRANSCRIPTS_BUCKET],
            announcements_topic=environment[variables.ANNOUNCEMENTS_TOPIC],
            default_options=PartialOptions.from_json(environment[variables.DEFAULT_OPTIONS]),
            prompts_from_metadata=environment[variables.PROMPTS_FROM_METADATA] == "true",
            model_digest=environment[variables.MODEL_DIGEST],
            times=JobTimes.from_json(environment[variables.JOB_TIMES]),
            limits=BatchLimits.from_json(environment[variables.BATCH_LIMITS]),
            job_prefix=environment[variables.BATCH_JOB_PREFIX],
            leftovers=environment[variables.LEFTOVERS] == "true",
        )
