"""What a request may ask for, where that can be said, and how it travels.

Each source says some options and is silent about others: a `PartialOptions`. They are merged, the request over the object's
metadata over the environment's defaults, and what nobody said is the built-in default: `TranscriptionOptions`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final

from whisperstack_contract import option_values as values
from whisperstack_contract.errors import InvalidOptionsError
from whisperstack_contract.limits import AUDIO_SECONDS, BATCH_ENVIRONMENT_VALUE_CHARS, CUSTOM_ATTRIBUTES_CHARS
from whisperstack_contract.option_values import OptionSpec
from whisperstack_contract.variables import BATCH, DEFAULT_OPTIONS, INFERENCE_OPTION, OPTIONS

JSON_FORMAT: Final = "json"  # always written
FORMATS: Final = (JSON_FORMAT, "txt", "srt", "vtt", "tsv")

# Whisper reads the last 223 tokens of a prompt (openai-whisper decoding.py: n_ctx // 2 - 1), about 900 characters of English.
PROMPT_CHARS: Final = 1000
# More beams cost memory and time and gain nothing; openai-whisper's own default is 5.
MOST_BEAMS: Final = 10
# 0 to 1 in steps of 0.1; openai-whisper's default has six.
MOST_TEMPERATURES: Final = 11
MOST_AUDIO_TRACKS: Final = 100
# Below ten columns hardly a word fits; nothing is shown with more than 200. Broadcasters use 32 to 42, and two lines.
LINE_WIDTH_RANGE: Final = (10, 200)
LINE_COUNT_RANGE: Final = (1, 10)

_SPEC: Final = "spec"
_EXAMPLE: Final = '{"language": "en"}'


class Task(StrEnum):
    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"


def _is(spec: OptionSpec) -> Mapping[str, OptionSpec]:
    return {_SPEC: spec}


@dataclass(frozen=True)
class TranscriptionOptions:
    """All options of one transcription, each valid. Raises InvalidOptionsError for a value that is not."""

    language: str | None = field(default=None, metadata=_is(values.language("the language that is spoken")))
    task: Task = field(
        default=Task.TRANSCRIBE, metadata=_is(values.choice("write what was said, or translate it into English", Task))
    )
    initial_prompt: str | None = field(
        default=None, metadata=_is(values.text("text that the recording might follow", PROMPT_CHARS))
    )
    hotwords: str | None = field(default=None, metadata=_is(values.text("names and terms to expect", PROMPT_CHARS)))
    temperature: tuple[float, ...] = field(
        default=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
        metadata=_is(values.numbers("tried in this order until a window's text looks right", 1.0, MOST_TEMPERATURES)),
    )
    beam_size: int | None = field(
        default=None,
        metadata=_is(values.optional(values.integer("beams at temperature 0; without, decoding is greedy", 1, MOST_BEAMS))),
    )
    word_timestamps: bool = field(default=False, metadata=_is(values.flag("say when each word was spoken")))
    formats: tuple[str, ...] = field(
        default=("txt", "srt", "vtt"),
        metadata=_is(values.choices("renderings to write; the JSON is always written", FORMATS)),
    )
    max_line_width: int | None = field(
        default=None,
        metadata=_is(
            values.optional(values.integer("columns in a line of subtitles; a wide character takes two", *LINE_WIDTH_RANGE))
        ),
    )
    max_line_count: int | None = field(
        default=None, metadata=_is(values.optional(values.integer("lines of subtitles at a time", *LINE_COUNT_RANGE)))
    )
    highlight_words: bool = field(default=False, metadata=_is(values.flag("in vtt, underline each word while it is spoken")))
    vad: bool = field(default=True, metadata=_is(values.flag("leave out stretches without speech")))
    max_duration_seconds: float | None = field(
        default=None,
        metadata=_is(values.optional(values.seconds("refuse a recording that is longer", AUDIO_SECONDS))),
    )
    audio_track: int = field(
        default=0, metadata=_is(values.integer("which audio track of a video, counted from 0", 0, MOST_AUDIO_TRACKS - 1))
    )

    def __post_init__(self) -> None:
        for name, spec in OPTIONS_BY_NAME.items():
            object.__setattr__(self, name, spec.value(name, getattr(self, name)))
        if self.highlight_words and not self.word_timestamps:
            raise InvalidOptionsError("highlight_words is true and word_timestamps is false; set word_timestamps to true")
        if self.max_line_count is not None and self.max_line_width is None:
            raise InvalidOptionsError(
                f"max_line_count is {self.max_line_count} and max_line_width is none, so no line ever ends; "
                "set max_line_width, for example to 42"
            )

    def to_json(self) -> str:
        """One line of printable ASCII: what differs from the built-in defaults."""
        found = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return PartialOptions({name: value for name, (value, default) in found.items() if value != default}).to_json()

    def to_custom_attributes(self) -> str:
        """The same, for SageMaker's CustomAttributes. Raises InvalidOptionsError beyond 1,024 characters."""
        return _within(self.to_json(), CUSTOM_ATTRIBUTES_CHARS)

    def to_batch_environment(self) -> dict[str, str]:
        """The Environment of a transform job whose files have these options; it tells the container that it is batch."""
        return {OPTIONS: _within(self.to_json(), BATCH_ENVIRONMENT_VALUE_CHARS), INFERENCE_OPTION: BATCH}

    @classmethod
    def from_json(cls, text: str) -> "TranscriptionOptions":
        """The options in a JSON object; an empty text means the defaults. Raises InvalidOptionsError."""
        return PartialOptions.from_json(text).resolve()


OPTIONS_BY_NAME: Final[Mapping[str, OptionSpec]] = {field.name: field.metadata[_SPEC] for field in fields(TranscriptionOptions)}

# What the model is prompted with, and could be led astray by.
PROMPT_OPTIONS: Final = frozenset({"initial_prompt", "hotwords"})


@dataclass(frozen=True)
class PartialOptions:
    """What one source says, by option. What is not in it was not said, which is not the same as saying the default."""

    said: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises InvalidOptionsError for a name or a value that does not exist."""
        if unknown := sorted(set(self.said) - set(OPTIONS_BY_NAME)):
            names = ", ".join(values.quoted(name) for name in unknown[:3])
            raise InvalidOptionsError(f"unknown options: {names}; allowed: {', '.join(OPTIONS_BY_NAME)}")
        read = {name: OPTIONS_BY_NAME[name].value(name, value) for name, value in self.said.items()}
        object.__setattr__(self, "said", read)

    @classmethod
    def from_json(cls, text: str) -> "PartialOptions":
        """An empty text says nothing. Raises InvalidOptionsError."""
        if not text.strip():
            return cls()
        try:
            found = json.loads(text, object_pairs_hook=_each_once)
        except (ValueError, RecursionError) as error:
            raise InvalidOptionsError(f"the options are not JSON ({error}); send an object such as {_EXAMPLE}") from error
        if not isinstance(found, dict):
            raise InvalidOptionsError(f"the options are a JSON {type(found).__name__}; send an object such as {_EXAMPLE}")
        return cls(found)

    @classmethod
    def from_custom_attributes(cls, text: str) -> "PartialOptions":
        """What a request says. Raises InvalidOptionsError."""
        if not text.isascii():
            # SageMaker lets none through; what a container makes of it otherwise is another word.
            raise InvalidOptionsError(
                "the options hold characters that are not ASCII; write them as \\uXXXX, as JSON libraries do when told to"
            )
        return cls.from_json(_within(text, CUSTOM_ATTRIBUTES_CHARS))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "PartialOptions":
        """What a container's environment says: in batch the job's own options, over the defaults of the model's environment."""
        return cls.from_json(environment.get(OPTIONS, "")).over(cls.from_json(environment.get(DEFAULT_OPTIONS, "")))

    def to_json(self) -> str:
        """One line of printable ASCII."""
        return json.dumps(dict(self.said), separators=(",", ":"), sort_keys=True)

    def over(self, lower: "PartialOptions") -> "PartialOptions":
        """Both, where this one goes before."""
        return PartialOptions({**lower.said, **self.said})

    def resolve(self) -> TranscriptionOptions:
        """With built-in defaults for what was not said. Raises InvalidOptionsError for options that contradict each other."""
        # Words can only be highlighted where their times are known, so who asks for one asks for the other.
        implied = {"word_timestamps": True} if self.said.get("highlight_words") else {}
        return TranscriptionOptions(**{**implied, **self.said})


def _within(text: str, most_chars: int) -> str:
    if len(text) > most_chars:
        raise InvalidOptionsError(
            f"the options take {len(text)} characters (six for each that is not ASCII); the limit is {most_chars}; "
            "shorten initial_prompt or hotwords"
        )
    return text


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands in it twice")
    return found
