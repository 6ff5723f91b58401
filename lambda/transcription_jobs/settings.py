"""Settings of a function: each field names the variable that it is read from, and how."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from whisperstack_contract import variables
from whisperstack_contract.job_times import JobTimes


def variable(name: str, read: Callable[[str], Any] = str, *, optional: bool = False) -> dict[str, Any]:
    """Metadata of a field. read: makes its value of the text. optional: it is None where nothing is set."""
    return {"name": name, "read": read, "optional": optional}


def is_true(text: str) -> bool:
    return text == "true"


@dataclass(frozen=True)
class EnvironmentSettings:
    """Names in them are as infra set them."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Raises KeyError for a variable that is not set, and what its reader raises for a text that cannot be."""
        values: dict[str, Any] = {}
        for each in fields(cls):
            text = environment.get(each.metadata["name"]) if each.metadata["optional"] else environment[each.metadata["name"]]
            values[each.name] = None if text is None else each.metadata["read"](text)
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class JobSettings(EnvironmentSettings):
    """What every function that handles jobs is told. times: what a job may take."""

    job_table: str = field(metadata=variable(variables.JOB_TABLE))
    audio_bucket: str = field(metadata=variable(variables.AUDIO_BUCKET))
    transcripts_bucket: str = field(metadata=variable(variables.TRANSCRIPTS_BUCKET))
    announcements_topic: str = field(metadata=variable(variables.ANNOUNCEMENTS_TOPIC))
    times: JobTimes = field(metadata=variable(variables.JOB_TIMES, JobTimes.from_json))
