"""The identity and the life of one transcription job."""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

JOB_ID_CHARS: Final = 52  # base32 of 32 bytes without padding

_INFERENCE_ID: Final = re.compile(rf"([a-z2-7]{{{JOB_ID_CHARS}}})-([1-9][0-9]{{0,3}})")


class JobState(StrEnum):
    """Where a job stands; TRANSITIONS says where it can go from there.

    received: written down, and waiting for its turn, for room or for its next attempt. submitted: the intent to invoke is
    written. partial: a transcript, of a recording that was cut short. expired: no answer in all the time that jobs have.
    """

    RECEIVED = "received"
    SUBMITTED = "submitted"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @property
    def is_end(self) -> bool:
        return self in END_STATES

    @property
    def has_transcript(self) -> bool:
        return self in (JobState.SUCCEEDED, JobState.PARTIAL)


# The answer of an earlier attempt may come while the job waits for its next one: hence the ends of a received job.
_ENDS_WITH_AN_ANSWER: Final = frozenset({JobState.SUCCEEDED, JobState.PARTIAL, JobState.FAILED, JobState.EXPIRED})
TRANSITIONS: Final[Mapping[JobState, frozenset[JobState]]] = {
    JobState.RECEIVED: _ENDS_WITH_AN_ANSWER | {JobState.SUBMITTED, JobState.REJECTED},
    JobState.SUBMITTED: _ENDS_WITH_AN_ANSWER | {JobState.RECEIVED},
    JobState.SUCCEEDED: frozenset(),
    JobState.PARTIAL: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.REJECTED: frozenset(),
    JobState.EXPIRED: frozenset(),
}
END_STATES: Final = frozenset(state for state, following in TRANSITIONS.items() if not following)


def require_transition(before: JobState, after: JobState) -> None:
    """Raises ValueError for a change of state that no job makes."""
    if after not in TRANSITIONS[before]:
        allowed = ", ".join(sorted(TRANSITIONS[before])) or "nothing, it is an end state"
        raise ValueError(f"a job does not go from {before} to {after}; from there it can go to: {allowed}")


@dataclass(frozen=True)
class SourceVersion:
    """One version of one uploaded object; what a job transcribes."""

    bucket: str
    key: str
    version_id: str


def job_id(source: SourceVersion, run: int = 0) -> str:
    """52 characters of a-z2-7 that a repeated event or a redeploy computes again.

    run: 0, raised only by an explicit request to transcribe the same version again.
    """
    fields = (source.bucket, source.key, source.version_id, str(run))
    # Lengths keep ("ab", "c") and ("a", "bc") apart.
    digest = hashlib.sha256(b"".join(len(f.encode()).to_bytes(4, "big") + f.encode() for f in fields)).digest()
    return base64.b32encode(digest).decode("ascii").rstrip("=").lower()


def inference_id(job: str, attempt: int) -> str:
    """SageMaker's InferenceId (at most 64 characters) for one attempt at a job; attempts count from 1."""
    return f"{job}-{attempt}"


def parse_inference_id(text: str) -> tuple[str, int] | None:
    """(job id, attempt), or None for an id that is not one of ours."""
    match = _INFERENCE_ID.fullmatch(text)
    return (match[1], int(match[2])) if match else None
