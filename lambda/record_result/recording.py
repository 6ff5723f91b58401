"""From what the endpoint says of an attempt to the job's end, once, however often and in whatever order it is said."""

from dataclasses import dataclass
from enum import StrEnum

from record_result.endpoint_output import EndpointOutput, renderings_or_error
from record_result.failure import error_from_reason
from record_result.notification import Completed, Failed
from transcription_jobs.job import Job
from transcription_jobs.job_table import JobTable
from transcription_jobs.outbox import Outbox
from whisperstack_contract.errors import ErrorDocument
from whisperstack_contract.jobs import JobState
from whisperstack_contract.options import TranscriptionOptions


class Outcome(StrEnum):
    """outdated: the failure of an attempt that is not the current one. lost: another delivery ended the job first."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REPEATED = "repeated"
    OUTDATED = "outdated"
    LOST = "lost"


@dataclass(frozen=True)
class Recording:
    jobs: JobTable
    output: EndpointOutput
    outbox: Outbox

    def record(self, result: Completed | Failed) -> Outcome:
        """Raises LookupError for a job that has no row, or has not been submitted: both mean that something is missing."""
        job = self.jobs.load(result.job_id)
        if job is None:
            raise LookupError(f"job {result.job_id} has a result but no row; check that both functions use one table")
        if job.ending:
            self.outbox.announce(job)
            return Outcome.REPEATED
        if job.state is not JobState.SUBMITTED:
            raise LookupError(f"job {result.job_id} has a result but is {job.state}; it was invoked without a row saying so")
        found = self._renderings(job, result) if isinstance(result, Completed) else self._error(job, result)
        if not isinstance(found, ErrorDocument):
            return Outcome.SUCCEEDED if self.outbox.succeed(job, found) else Outcome.LOST
        if result.attempt != job.attempt:
            return Outcome.OUTDATED
        return Outcome.FAILED if self.outbox.fail(job, found) else Outcome.LOST

    def _renderings(self, job: Job, result: Completed) -> dict[str, bytes] | ErrorDocument:
        # The row speaks of the current attempt only.
        expected = job.output_location if result.attempt == job.attempt else None
        body = self.output.result(expected, result.output_location)
        return renderings_or_error(body, job.job_id, TranscriptionOptions.from_json(job.options))

    def _error(self, job: Job, result: Failed) -> ErrorDocument:
        expected = job.failure_location if result.attempt == job.attempt else None
        return self.output.failure(expected, result.failure_location) or error_from_reason(result.reason)
