"""The function's settings, read from its environment."""

from dataclasses import dataclass, field

from transcription_jobs.settings import JobSettings, is_true, variable
from whisperstack_contract import variables
from whisperstack_contract.batch_limits import BatchLimits
from whisperstack_contract.options import PartialOptions


@dataclass(frozen=True, kw_only=True)
class Settings(JobSettings):
    """Options and prompts as in submit_transcription. model_digest: the model of transform jobs.

    job_prefix: what transform jobs' names begin with. leftovers: whether asynchronous inference takes what a batch cannot.
    """

    default_options: PartialOptions = field(metadata=variable(variables.DEFAULT_OPTIONS, PartialOptions.from_json))
    prompts_from_metadata: bool = field(metadata=variable(variables.PROMPTS_FROM_METADATA, is_true))
    model_digest: str = field(metadata=variable(variables.MODEL_DIGEST))
    limits: BatchLimits = field(metadata=variable(variables.BATCH_LIMITS, BatchLimits.from_json))
    job_prefix: str = field(metadata=variable(variables.BATCH_JOB_PREFIX))
    leftovers: bool = field(metadata=variable(variables.LEFTOVERS, is_true))
