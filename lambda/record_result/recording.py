"""From what the endpoint says of an attempt to the job's end, once, however often and in whatever order it is said."""

from dataclasses import dataclass
from enum import StrEnum

from record_result.failure import error_from_reason, says_expired
from record_result.notification import Completed, Failed
from transcription_jobs.admission import Admission
from transcription_jobs.endpoint_output import EndpointOutput, Result
from transcription_jobs.job import Job
from transcription_jobs.job_table import JobTable
from transcription_jobs.outbox import Outbox
from whisperstack_contract.errors import ErrorDocument
from whisperstack_contract.jobs import JobState
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.receipt import Instances, receipt_of


class Outcome(StrEnum):
    """retried: another attempt will be made. outdated: the failure of an attempt that is not the current one.
    lost: another delivery ended the job first."""

    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    RETRIED = "retried"
    REPEATED = "repeated"
    OUTDATED = "outdated"
    LOST = "lost"


@dataclass(frozen=True)
class Recording:
    jobs: JobTable
    admission: Admission
    output: EndpointOutput
    outbox: Outbox
    instances: Instances

    def record(self, result: Completed | Failed) -> Outcome:
        """Raises LookupError for a job that has no row, or was never submitted: both mean that something is missing."""
        job = self.jobs.load(result.job_id)
        if job is None:
            raise LookupError(f"job {result.job_id} has a result but no row; check that both functions use one table")
        if job.ending:
            self.outbox.make_up_announcement(job)
            return Outcome.REPEATED
        if not job.attempt:
            raise LookupError(f"job {result.job_id} has a result but is {job.state}; it was invoked without a row saying so")
        found = self._result(job, result) if isinstance(result, Completed) else self._error(job, result)
        if isinstance(found, Result):
            return self._succeed(job, found)
        # A job that waits for its next attempt has had this failure counted.
        if result.attempt != job.attempt or job.state is not JobState.SUBMITTED:
            return Outcome.OUTDATED
        return self._fail(job, found, vanished=isinstance(result, Failed) and says_expired(result.reason))

    def _succeed(self, job: Job, result: Result) -> Outcome:
        state = JobState.PARTIAL if result.transcript.is_partial else JobState.SUCCEEDED
        receipt = receipt_of(result.transcript, self.instances)
        if not self.outbox.succeed(job, result.renderings, state, receipt):
            return Outcome.LOST
        # Only a submitted job holds room at the endpoint.
        held = job.work_seconds if job.state is JobState.SUBMITTED else 0
        self.admission.learn(job.size_bytes, receipt.processing_seconds, held)
        return Outcome(state.value)

    def _fail(self, job: Job, error: ErrorDocument, *, vanished: bool) -> Outcome:
        times = self.jobs.times
        again = job.requeues < times.requeues if vanished else error.retryable and job.failures + 1 < times.attempts
        if again:
            done, outcome = self.jobs.retry(job, failed=not vanished) is not None, Outcome.RETRIED
        else:
            state = JobState.EXPIRED if vanished else JobState.FAILED
            done, outcome = self.outbox.fail(job, error, state), Outcome.FAILED
        if not done:
            return Outcome.LOST
        self.admission.release(job.work_seconds)
        return outcome

    def _result(self, job: Job, result: Completed) -> Result | ErrorDocument:
        # The row speaks of the current attempt only.
        expected = job.output_location if result.attempt == job.attempt else None
        options = TranscriptionOptions.from_json(job.options)
        return self.output.result(job.job_id, options, expected, result.output_location)

    def _error(self, job: Job, result: Failed) -> ErrorDocument:
        expected = job.failure_location if result.attempt == job.attempt else None
        return self.output.failure(expected, result.failure_location) or error_from_reason(result.reason)
