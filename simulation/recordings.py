"""What users upload, and what a model makes of it. A recording's bytes say which one it is, so that its transcript can be told
from every other."""

from dataclasses import dataclass
from enum import StrEnum

from whisperstack_contract import transcript as schema
from whisperstack_contract.errors import InferenceFailedError, NotAudioError
from whisperstack_contract.transcript import AudioFacts, Provenance, Segment, Transcript
from whisperstack_contract.warning_codes import TRUNCATED_AUDIO

BYTES_A_SECOND = 16_000


class Kind(StrEnum):
    """cut: off in the middle. noise: no audio at all. sick: the model fails on it each time. poison: it kills the worker."""

    SPEECH = "speech"
    CUT = "cut"
    NOISE = "noise"
    SICK = "sick"
    POISON = "poison"


@dataclass(frozen=True)
class Recording:
    kind: Kind
    number: int

    def to_bytes(self) -> bytes:
        return f"{self.kind} {self.number}".encode()

    @classmethod
    def from_bytes(cls, body: bytes) -> "Recording":
        kind, number = body.decode().split()
        return cls(Kind(kind), int(number))

    @property
    def text(self) -> str:
        return f"This is {self.kind} number {self.number}."


def transcript_of(recording: Recording, seconds: float) -> Transcript:
    """As the model answers. Raises NotAudioError, InferenceFailedError."""
    if recording.kind is Kind.NOISE:
        raise NotAudioError("this is no audio; convert it")
    if recording.kind is Kind.SICK:
        raise InferenceFailedError("the model failed on the recording; try again")
    warnings = (schema.Warning(TRUNCATED_AUDIO, "the recording was cut off"),) if recording.kind is Kind.CUT else ()
    return Transcript(
        task="transcribe",
        language="en",
        duration=seconds,
        text=recording.text,
        segments=(Segment(0, 0.0, seconds, recording.text, -0.2, 1.1, 0.01, 0.0),),
        whisperstack=Provenance(
            "pytorch", "tiny.en", "d" * 64, AudioFacts("mp3", seconds, seconds), {"inference": seconds}, warnings
        ),
    )
