"""The function's settings, read from its environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from whisperstack_contract import variables


@dataclass(frozen=True)
class Settings:
    """Names as infra set them."""

    job_table: str
    transcripts_bucket: str
    announcements_topic: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises KeyError for a variable that is not set."""
        return cls(
            job_table=environment[variables.JOB_TABLE],
            transcripts_bucket=environment[variables.TRANSCRIPTS_BUCKET],
            announcements_topic=environment[variables.ANNOUNCEMENTS_TOPIC],
        )
