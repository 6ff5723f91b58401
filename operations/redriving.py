"""Jobs that ended without a transcript, sent again; and jobs that have not ended, cancelled."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from operations.deployment import Deployment
from operations.errors import OperationsError
from operations.finding import ended_jobs
from transcription_jobs.job import Job
from whisperstack_contract.errors import CancelledError
from whisperstack_contract.jobs import JobState, job_id

# States in which redriving makes sense, as an operator names them.
REDRIVABLE: Final = (JobState.FAILED, JobState.REJECTED, JobState.EXPIRED)


def redrive(deployment: Deployment, job: Job, *, dry_run: bool) -> str:
    """What was done, in a few words. The same version becomes a new job, one run on; the reconciler gives it its turn."""
    if job.state not in REDRIVABLE:
        return f"left alone: it is {job.state}"
    again = replace(
        Job(
            job_id=_next_run(job),
            source=job.source,
            size_bytes=job.size_bytes,
            options=job.options,
            model_digest=job.model_digest,
            created_at=deployment.jobs.clock().isoformat(),
            received_at=deployment.jobs.now,
        ),
        run=job.run + 1,
    )
    if deployment.jobs.load(again.job_id):
        return f"left alone: it was sent again before, as {again.job_id}"
    if dry_run:
        return f"would be sent again as {again.job_id}"
    if not deployment.jobs.create(again, wait=0):
        return f"left alone: another has just sent it again, as {again.job_id}"
    return f"sent again as {again.job_id}"


def redrive_state(deployment: Deployment, state: JobState, limit: int, *, dry_run: bool) -> Iterator[str]:
    """What was done with each job that ended so, the latest first, and then what was left, and why. Raises OperationsError.

    limit: of those that are sent. A job that was sent again before keeps its state, and so its place in the list.
    """
    if state not in REDRIVABLE:
        raise OperationsError(f"jobs that are {state} are not sent again; choose one of: {', '.join(sorted(REDRIVABLE))}")
    sent = more = before = cancelled = 0
    for page in ended_jobs(deployment, state):
        never_sent = deployment.jobs.missing([_next_run(job) for job in page])
        for job in page:
            if _next_run(job) not in never_sent:
                before += 1
            elif job.ending and job.ending.error and job.ending.error.code == CancelledError.code:
                cancelled += 1
            elif sent == limit:
                more += 1
            else:
                sent += 1
                yield f"{job.job_id} {redrive(deployment, job, dry_run=dry_run)}"
    if before:
        yield f"{before} left alone: sent again before"
    if cancelled:
        yield f"{cancelled} left alone: cancelled by an operator; name a job or a key to send it again all the same"
    if more:
        yield f"{more} left for later: --limit is {limit}; raise it, or do the same again"
    if not sent + before + cancelled:
        yield f"there are no jobs that are {state}"


def _next_run(job: Job) -> str:
    return job_id(job.source, job.run + 1)


def cancel(deployment: Deployment, job: Job, *, dry_run: bool) -> str:
    """What was done, in a few words. SageMaker takes no request back: its answer, if one comes, is not published."""
    if job.ending:
        return f"left alone: it is {job.state}"
    if dry_run:
        return f"would be cancelled; it is {job.state}"
    error = CancelledError(
        "an operator has cancelled the job; if that was a mistake, upload it again or have it sent again by its key"
    )
    done = deployment.outbox.fail(job, error.document())
    return "cancelled" if done else "left alone: it moved on meanwhile; look at it again"
