"""The identity and the life of one transcription job."""

import base64
import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

JOB_ID_CHARS: Final = 52  # base32 of 32 bytes without padding

_INFERENCE_ID: Final = re.compile(rf"([a-z2-7]{{{JOB_ID_CHARS}}})-([1-9][0-9]{{0,3}})")


class JobState(StrEnum):
    """received → submitted → succeeded | failed, or received → rejected. The last three are end states."""

    RECEIVED = "received"
    SUBMITTED = "submitted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"

    @property
    def is_end(self) -> bool:
        return self in END_STATES


END_STATES: Final = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.REJECTED})


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
