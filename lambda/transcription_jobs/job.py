"""A job as its row in the table holds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from whisperstack_contract.errors import ErrorDocument
from whisperstack_contract.jobs import JobState, SourceVersion

UNKNOWN_CONTENT_TYPE: Final = "application/octet-stream"


@dataclass(frozen=True)
class Ending:
    """How a job ended, and with it all that its announcement says. Fields as in whisperstack_contract.announcements."""

    state: JobState
    outputs: Mapping[str, str]
    current: bool
    error: ErrorDocument | None = None


@dataclass(frozen=True)
class Job:
    """options: JSON, frozen at intake like model_digest: the environment's; once submitted, with the upload's own over them.

    created_at, invoked_at, announced_at: ISO 8601, UTC.
    attempt: 0 before the first one. output_location, failure_location: s3 URIs that SageMaker named for the current attempt.
    """

    job_id: str
    source: SourceVersion
    size_bytes: int
    options: str
    model_digest: str
    created_at: str
    run: int = 0
    state: JobState = JobState.RECEIVED
    attempt: int = 0
    content_type: str = UNKNOWN_CONTENT_TYPE
    invoked_at: str | None = None
    output_location: str | None = None
    failure_location: str | None = None
    ending: Ending | None = None
    announced_at: str | None = None


def new_row(job: Job) -> dict[str, Any]:
    """The attributes, besides the table's keys, of a job's first row."""
    return {
        "state": job.state.value,
        "source_bucket": job.source.bucket,
        "source_key": job.source.key,
        "source_version_id": job.source.version_id,
        "size_bytes": job.size_bytes,
        "options": job.options,
        "model_digest": job.model_digest,
        "created_at": job.created_at,
        "run": job.run,
        "attempt": job.attempt,
    }


def ending_attributes(ending: Ending) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "state": ending.state.value,
        "outputs": dict(ending.outputs),
        "current": ending.current,
    }
    if ending.error:
        attributes["error_code"] = ending.error.code
        attributes["error_message"] = ending.error.message
        attributes["error_retryable"] = ending.error.retryable
    return attributes


def job_from_row(job_id: str, row: Mapping[str, Any]) -> Job:
    state = JobState(row["state"])
    return Job(
        job_id=job_id,
        source=SourceVersion(row["source_bucket"], row["source_key"], row["source_version_id"]),
        size_bytes=int(row["size_bytes"]),
        options=row["options"],
        model_digest=row["model_digest"],
        created_at=row["created_at"],
        run=int(row["run"]),
        state=state,
        attempt=int(row["attempt"]),
        content_type=row.get("content_type", UNKNOWN_CONTENT_TYPE),
        invoked_at=row.get("invoked_at"),
        output_location=row.get("output_location"),
        failure_location=row.get("failure_location"),
        ending=_ending(state, row) if state.is_end else None,
        announced_at=row.get("announced_at"),
    )


def _ending(state: JobState, row: Mapping[str, Any]) -> Ending:
    error = None
    if "error_code" in row:
        error = ErrorDocument(row["error_code"], row["error_message"], row["error_retryable"])
    return Ending(state, row["outputs"], row["current"], error)
