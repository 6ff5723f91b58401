"""What a request may ask for, and how it travels."""

import json
import re
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from whisperstack_contract.errors import InvalidOptionsError
from whisperstack_contract.limits import CUSTOM_ATTRIBUTES_CHARS

_LANGUAGE = re.compile(r"[a-z]{2,3}")


class Task(StrEnum):
    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"


@dataclass(frozen=True)
class TranscriptionOptions:
    """Options of one transcription. language: ISO 639 code as Whisper knows it, or None to detect it."""

    language: str | None = None
    task: Task = Task.TRANSCRIBE

    def to_custom_attributes(self) -> str:
        """One line of printable ASCII for SageMaker's CustomAttributes, at most 1,024 characters."""
        text = json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)
        if len(text) > CUSTOM_ATTRIBUTES_CHARS:
            raise InvalidOptionsError(
                f"the options take {len(text)} characters; the limit is {CUSTOM_ATTRIBUTES_CHARS}; shorten them"
            )
        return text

    @classmethod
    def from_json(cls, text: str) -> "TranscriptionOptions":
        """The options in a JSON object; an empty text means the defaults. Raises InvalidOptionsError."""
        if not text.strip():
            return cls()
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidOptionsError(f"the options are not JSON ({error}); send an object such as {_EXAMPLE}") from error
        if not isinstance(values, dict):
            raise InvalidOptionsError(f"the options are a JSON {type(values).__name__}; send an object such as {_EXAMPLE}")
        return cls.from_dict(values)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TranscriptionOptions":
        allowed = [field.name for field in fields(cls)]
        if unknown := sorted(set(values) - set(allowed)):
            raise InvalidOptionsError(f"unknown options: {', '.join(unknown)}; allowed are: {', '.join(allowed)}")
        return cls(_language(values.get("language")), _task(values.get("task", Task.TRANSCRIBE)))


_EXAMPLE = '{"language": "en"}'


def _language(value: object) -> str | None:
    if value is None or (isinstance(value, str) and _LANGUAGE.fullmatch(value)):
        return value
    raise InvalidOptionsError(f"language is {value!r}; use a code such as 'en' or 'yue', or null to detect it")


def _task(value: object) -> Task:
    try:
        return Task(value)  # type: ignore[arg-type]  # Task() itself refuses what is no task
    except ValueError as error:
        raise InvalidOptionsError(f"task is {value!r}; allowed are: {', '.join(Task)}") from error
