"""The function's settings, read from its environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from whisperstack_contract import variables
from whisperstack_contract.job_times import JobTimes
from whisperstack_contract.options import PartialOptions


@dataclass(frozen=True)
class Settings:
    """Names as infra set them. default_options: of uploads that do not say otherwise in their metadata.

    prompts_from_metadata: whether they may say there what the model is prompted with.
    model_digest: the model that the endpoint serves.
    slots: recordings that the endpoint works on at a time, with all the instances that it may have.
    """

    job_table: str
    audio_bucket: str
    transcripts_bucket: str
    endpoint_name: str
    announcements_topic: str
    default_options: PartialOptions
    prompts_from_metadata: bool
    model_digest: str
    times: JobTimes
    slots: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises KeyError for a variable that is not set, InvalidOptionsError for options that do not exist."""
        return cls(
            job_table=environment[variables.JOB_TABLE],
            audio_bucket=environment[variables.AUDIO_BUCKET],
            transcripts_bucket=environment[variables.TRANSCRIPTS_BUCKET],
            endpoint_name=environment[variables.ENDPOINT_NAME],
            announcements_topic=environment[variables.ANNOUNCEMENTS_TOPIC],
            default_options=PartialOptions.from_json(environment[variables.DEFAULT_OPTIONS]),
            prompts_from_metadata=environment[variables.PROMPTS_FROM_METADATA] == "true",
            model_digest=environment[variables.MODEL_DIGEST],
            times=JobTimes.from_json(environment[variables.JOB_TIMES]),
            slots=int(environment[variables.ENDPOINT_SLOTS]),
        )
