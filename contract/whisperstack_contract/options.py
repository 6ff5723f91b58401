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
    """Options of one transcription; None leaves a choice to the model or its environment.

    language: ISO 639 code as Whisper knows it, or None to detect it. initial_prompt: text that the recording might follow.
    hotwords: names and terms to expect. temperature: tried in this order until a window's text looks right.
    beam_size: beams at temperature 0; None for greedy. formats: renderings to write beside the JSON.
    max_line_width: characters in a subtitle's line; max_line_count: lines in a cue. highlight_words: in vtt, word by word.
    vad: whether stretches without speech are left out. max_duration_seconds: a longer recording is refused.
    audio_track: which audio track of a video, from 0.
    """

    language: str | None = None
    task: Task = Task.TRANSCRIBE
    initial_prompt: str | None = None
    hotwords: str | None = None
    temperature: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    beam_size: int | None = None
    word_timestamps: bool = False
    formats: tuple[str, ...] = ("txt", "srt", "vtt")
    max_line_width: int | None = None
    max_line_count: int | None = None
    highlight_words: bool = False
    vad: bool = True
    max_duration_seconds: float | None = None
    audio_track: int = 0

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
        read: dict[str, Any] = {
            **values,
            "language": _language(values.get("language")),
            "task": _task(values.get("task", Task.TRANSCRIBE)),
        }
        lists: dict[str, Any] = {name: tuple(value) for name, value in read.items() if isinstance(value, list)}
        return cls(**read | lists)


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
