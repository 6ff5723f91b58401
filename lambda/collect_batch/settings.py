"""The function's settings, read from its environment."""

from dataclasses import dataclass, field

from transcription_jobs.settings import JobSettings, variable
from whisperstack_contract import variables
from whisperstack_contract.receipt import Instances


@dataclass(frozen=True, kw_only=True)
class Settings(JobSettings):
    """instances: what transform jobs run on. job_prefix: what their names begin with.

    intake_queue: the asynchronous pipeline's, by its URL; None where there is none. reports_topic: told when a batch has ended.
    """

    reports_topic: str = field(metadata=variable(variables.BATCH_TOPIC))
    intake_queue: str | None = field(metadata=variable(variables.INTAKE_QUEUE, optional=True))
    instances: Instances = field(metadata=variable(variables.INSTANCES, Instances.from_json))
    job_prefix: str = field(metadata=variable(variables.BATCH_JOB_PREFIX))
