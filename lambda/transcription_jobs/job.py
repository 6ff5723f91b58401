"""A job as its row in the table holds it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from whisperstack_contract.errors import ErrorDocument
from whisperstack_contract.job_table import DEADLINE, RECEIVED_AT, WORK_SECONDS
from whisperstack_contract.jobs import JobState, SourceVersion
from whisperstack_contract.receipt import CostReceipt

UNKNOWN_CONTENT_TYPE: Final = "application/octet-stream"


@dataclass(frozen=True)
class Ending:
    """How a job ended, and with it all that its announcement says. Fields as in whisperstack_contract.announcements."""

    state: JobState
    outputs: Mapping[str, str]
    current: bool
    error: ErrorDocument | None = None
    receipt: CostReceipt | None = None


@dataclass(frozen=True)
class Job:
    """options: JSON, frozen at intake like model_digest: the environment's; once submitted, with the upload's own over them.

    created_at, invoked_at, announced_at: ISO 8601, UTC.
    attempt: requests begun so far. failures: those that came back with an error; requeues: those that vanished.
    content_type: None until the recording is staged. output_location, failure_location: s3 URIs that SageMaker named for the
    current attempt. received_at, deadline, lost_at: seconds since 1970. deadline: when someone should look after the job, None
    once it needs nothing; lost_at: when the current attempt counts as vanished. work_seconds: what it is expected to take.
    batch: the prefix whose batch has the job; None for one that the endpoint gets.
    """

    job_id: str
    source: SourceVersion
    size_bytes: int
    options: str
    model_digest: str
    created_at: str
    received_at: int
    run: int = 0
    state: JobState = JobState.RECEIVED
    attempt: int = 0
    failures: int = 0
    requeues: int = 0
    work_seconds: int = 0
    deadline: int | None = None
    lost_at: int | None = None
    content_type: str | None = None
    invoked_at: str | None = None
    output_location: str | None = None
    failure_location: str | None = None
    batch: str | None = None
    ending: Ending | None = None
    announced_at: str | None = None


def new_row(job: Job) -> dict[str, Any]:
    """The attributes, besides the table's keys, of a job's first row."""
    batch = {"batch": job.batch} if job.batch is not None else {}
    return {
        "state": job.state.value,
        "source_bucket": job.source.bucket,
        "source_key": job.source.key,
        "source_version_id": job.source.version_id,
        "size_bytes": job.size_bytes,
        "options": job.options,
        "model_digest": job.model_digest,
        "created_at": job.created_at,
        RECEIVED_AT: job.received_at,
        "run": job.run,
        "attempt": job.attempt,
        "failures": job.failures,
        "requeues": job.requeues,
        WORK_SECONDS: job.work_seconds,
        **batch,
    }


def _whole(number: Any) -> int | None:
    return None if number is None else int(number)


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
    if ending.receipt:
        attributes["receipt"] = asdict(ending.receipt)
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
        received_at=int(row[RECEIVED_AT]),
        run=int(row["run"]),
        state=state,
        attempt=int(row["attempt"]),
        failures=int(row["failures"]),
        requeues=int(row["requeues"]),
        work_seconds=int(row[WORK_SECONDS]),
        deadline=_whole(row.get(DEADLINE)),
        lost_at=_whole(row.get("lost_at")),
        content_type=row.get("content_type"),
        invoked_at=row.get("invoked_at"),
        output_location=row.get("output_location"),
        failure_location=row.get("failure_location"),
        batch=row.get("batch"),
        ending=_ending(state, row) if state.is_end else None,
        announced_at=row.get("announced_at"),
    )


def _ending(state: JobState, row: Mapping[str, Any]) -> Ending:
    error = None
    if "error_code" in row:
        error = ErrorDocument(row["error_code"], row["error_message"], row["error_retryable"])
    receipt = CostReceipt(**row["receipt"]) if "receipt" in row else None
    return Ending(state, row["outputs"], row["current"], error, receipt)
