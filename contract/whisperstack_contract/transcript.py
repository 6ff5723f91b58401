"""The transcript: OpenAI's `verbose_json` fields, so that existing clients read it, plus `whisperstack`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

SCHEMA_VERSION: Final = 1


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
class AudioFacts:
    """What the file said of itself and what came out of it. declared_seconds: None where the container does not say."""

    codec: str
    declared_seconds: float | None
    decoded_seconds: float


@dataclass(frozen=True)
class Warning:
    """Something a reader should know before trusting the text."""

    code: str
    message: str


@dataclass(frozen=True)
class Provenance:
    """How the transcript came about. timings: seconds by stage."""

    engine: str
    model: str
    model_digest: str
    audio: AudioFacts
    timings: dict[str, float]
    warnings: Sequence[Warning] = ()
    job_id: str | None = None
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class Transcript:
    """task, language, duration (seconds of audio), text, segments, and how they came about."""

    task: str
    language: str
    duration: float
    text: str
    whisperstack: Provenance
    segments: Sequence[Segment] = field(default_factory=tuple)

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Transcript":
        """Raises ValueError with what is missing where `text` is no transcript of this schema version."""
        try:
            document: dict[str, Any] = json.loads(text)
            provenance = document["whisperstack"]
            if provenance["schema_version"] != SCHEMA_VERSION:
                raise ValueError(f"schema version {provenance['schema_version']}; this reader knows {SCHEMA_VERSION}")
            return cls(
                task=document["task"],
                language=document["language"],
                duration=float(document["duration"]),
                text=document["text"],
                segments=tuple(Segment(**segment) for segment in document["segments"]),
                whisperstack=Provenance(
                    **{
                        **provenance,
                        "audio": AudioFacts(**provenance["audio"]),
                        "warnings": tuple(Warning(**warning) for warning in provenance["warnings"]),
                    }
                ),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a transcript: {error}") from error
