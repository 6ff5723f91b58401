"""Jobs that ended without a transcript, sent again; and jobs that have not ended, cancelled."""

from collections.abc import Iterator
from dataclasses import replace

from operations.deployment import Deployment
from transcription_jobs.job import Job
from whisperstack_contract.errors import CancelledError
from whisperstack_contract.jobs import JobState, job_id

# States in which redriving makes sense, as an operator names them.
REDRIVABLE = (JobState.FAILED, JobState.REJECTED, JobState.EXPIRED)


def jobs_that_ended(deployment: Deployment, state: JobState, limit: int) -> Iterator[Job]:
    """The latest first."""
    for number, found in enumerate(deployment.jobs.ended(state)):
        if number == limit:
            return
        if job := deployment.jobs.load(found):
            yield job


def redrive(deployment: Deployment, job: Job, *, dry_run: bool) -> str:
    """What was done, in a few words. The same version becomes a new job, one run on; the reconciler gives it its turn."""
    if job.state not in REDRIVABLE:
        return f"left alone: it is {job.state}"
    again = replace(
        Job(
            job_id=job_id(job.source, job.run + 1),
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
    deployment.jobs.create(again, wait=0)
    return f"sent again as {again.job_id}"


def cancel(deployment: Deployment, job: Job, *, dry_run: bool) -> str:
    """What was done, in a few words. SageMaker takes no request back: its answer, if one comes, is not published."""
    if job.ending:
        return f"left alone: it is {job.state}"
    if dry_run:
        return f"would be cancelled; it is {job.state}"
    error = CancelledError("an operator has cancelled the job; upload the recording again if that was a mistake")
    done = deployment.outbox.fail(job, error.document())
    return "cancelled" if done else "left alone: it moved on meanwhile; look at it again"
