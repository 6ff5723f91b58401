"""The function's settings, read from its environment."""

from dataclasses import dataclass, field

from transcription_jobs.settings import JobSettings, is_true, variable
from whisperstack_contract import variables
from whisperstack_contract.options import PartialOptions


@dataclass(frozen=True, kw_only=True)
class Settings(JobSettings):
    """default_options: of uploads that do not say otherwise in their metadata.

    prompts_from_metadata: whether they may say there what the model is prompted with.
    model_digest: the model that the endpoint serves.
    slots: recordings that the endpoint works on at a time, with all the instances that it may have.
    """

    endpoint_name: str = field(metadata=variable(variables.ENDPOINT_NAME))
    default_options: PartialOptions = field(metadata=variable(variables.DEFAULT_OPTIONS, PartialOptions.from_json))
    prompts_from_metadata: bool = field(metadata=variable(variables.PROMPTS_FROM_METADATA, is_true))
    model_digest: str = field(metadata=variable(variables.MODEL_DIGEST))
    slots: int = field(metadata=variable(variables.ENDPOINT_SLOTS, int))
