"""The transcript: OpenAI's `verbose_json` fields, so that existing clients read it, plus `whisperstack`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from math import isfinite
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args, get_origin

from whisperstack_contract.warning_codes import TRUNCATED_AUDIO

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SCHEMA_VERSION: Final = 1

_T = TypeVar("_T", bound="DataclassInstance")


@dataclass(frozen=True)
class Segment:
    """A stretch of speech. start, end: seconds from the recording's start; the rest as openai-whisper reports it."""

    id: int
    start: float
    end: float
    text: str
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    temperature: float


@dataclass(frozen=True)
class Word:
    """One word as it was spoken. start, end: seconds from the recording's start. probability: the model's own, 0..1."""

    word: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True)
class AudioFacts:
    """What the file said of itself and what came out of it. declared_seconds: None where the container does not say."""

    codec: str
    declared_seconds: float | None
    decoded_seconds: float


@dataclass(frozen=True)
class Warning:  # noqa: A001  # the schema's own word, always read as transcript.Warning
    """Something a reader should know before trusting the text. start, end: seconds, where it concerns a stretch only."""

    code: str
    message: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Provenance:
    """How the transcript came about. timings: seconds by stage. language_probability: of a language that was detected.

    speech_seconds: how much of the recording was heard as speech; None where nobody looked. numerics: how the engine ran,
    fast or exact; None where it has one way only.
    """

    engine: str
    model: str
    model_digest: str
    audio: AudioFacts
    timings: dict[str, float]
    warnings: Sequence[Warning] = ()
    job_id: str | None = None
    language_probability: float | None = None
    speech_seconds: float | None = None
    numerics: str | None = None
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class Transcript:
    """task, language, duration (seconds of audio), text, segments, and how they came about. words: None where not asked for."""

    task: str
    language: str
    duration: float
    text: str
    whisperstack: Provenance
    segments: Sequence[Segment] = field(default_factory=tuple)
    words: Sequence[Word] | None = None

    @property
    def is_partial(self) -> bool:
        return any(warning.code == TRUNCATED_AUDIO for warning in self.whisperstack.warnings)

    def to_json(self) -> str:
        """Raises ValueError for a number that is not finite: JSON has none, and other languages' parsers refuse Python's."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Transcript":
        """Raises ValueError with what is wrong where `text` is no transcript of this schema version.

        Fields that this reader does not know are left out: a newer model may add some.
        """
        try:
            document: dict[str, Any] = json.loads(text)
            provenance = document["whisperstack"]
            if provenance["schema_version"] != SCHEMA_VERSION:
                raise ValueError(f"schema version {provenance['schema_version']!r}; this reader knows {SCHEMA_VERSION}")
            parts = {
                "audio": _read(AudioFacts, provenance["audio"]),
                "warnings": tuple(_read(Warning, warning) for warning in provenance["warnings"]),
            }
            segments = tuple(_read(Segment, segment) for segment in document["segments"])
            words = document.get("words")
            spoken = None if words is None else tuple(_read(Word, word) for word in words)
            whole = {"segments": segments, "words": spoken, "whisperstack": _read(Provenance, {**provenance, **parts})}
            return _read(cls, {**document, **whole})
        except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"not a transcript: {error}") from error


def with_job_id(transcript: Transcript, job_id: str) -> Transcript:
    """The transcript as the result of a job; the model does not know which one it works for."""
    return replace(transcript, whisperstack=replace(transcript.whisperstack, job_id=job_id))


def _read(kind: type[_T], values: dict[str, Any]) -> _T:
    """A `kind` of the fields it knows. Raises TypeError for a field that is missing, or of another type."""
    known = {field.name: field.type for field in fields(kind)}
    for name, value in values.items():
        if name in known and not _is_a(value, known[name]):
            raise TypeError(f"{kind.__name__}.{name} is a {type(value).__name__}")
    return kind(**{name: value for name, value in values.items() if name in known})


def _is_a(value: object, expected: object) -> bool:
    """Whether a field's value has its type. Sequences and classes of ours hold what was read before."""
    if expected is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if expected is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if get_origin(expected) is UnionType:
        return any(_is_a(value, each) for each in get_args(expected))
    if get_origin(expected) is dict:
        return isinstance(value, dict) and all(_is_a(each, get_args(expected)[1]) for each in value.values())
    return isinstance(value, expected) if expected in (str, NoneType) else True
