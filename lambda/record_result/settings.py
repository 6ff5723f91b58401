"""The function's settings, read from its environment."""

from dataclasses import dataclass, field

from transcription_jobs.settings import JobSettings, variable
from whisperstack_contract import variables
from whisperstack_contract.receipt import Instances


@dataclass(frozen=True, kw_only=True)
class Settings(JobSettings):
    """slots: as in submit_transcription. instances: what transcripts cost by."""

    slots: int = field(metadata=variable(variables.ENDPOINT_SLOTS, int))
    instances: Instances = field(metadata=variable(variables.INSTANCES, Instances.from_json))
