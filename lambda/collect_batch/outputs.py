"""From one recording's output, or the lack of one, to what becomes of its job.

An output belongs to the job that it is named after. What it says is read, written and told as if the endpoint had said it, so
nobody can tell which way a transcript came; and all of it can be done again, as with the endpoint's notifications.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from batch_runs.run import ROUNDS, Run
from transcription_jobs.endpoint_output import EndpointOutput, Result
from transcription_jobs.job import Job
from transcription_jobs.job_table import JobTable
from transcription_jobs.outbox import Outbox
from whisperstack_contract import keys
from whisperstack_contract.errors import ErrorDocument, InferenceFailedError
from whisperstack_contract.jobs import JobState
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.receipt import CostReceipt, Instances, receipt_of


class Outcome(StrEnum):
    """again: in the next round. sent_on: to asynchronous inference. unfinished: it had no try; the next execution finds it.

    moved_on: somebody else is at it, or it is gone.
    """

    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    AGAIN = "again"
    SENT_ON = "sent_on"
    UNFINISHED = "unfinished"
    MOVED_ON = "moved_on"


@dataclass(frozen=True)
class Collected:
    """job: None where it has no row. failed: of a job that is sent on, whether it came back with an error."""

    outcome: Outcome
    job: Job | None = None
    error: ErrorDocument | None = None
    receipt: CostReceipt | None = None
    warnings: tuple[str, ...] = field(default_factory=tuple)
    failed: bool = False


@dataclass(frozen=True)
class Outputs:
    """leftovers: whether asynchronous inference takes what a batch could not transcribe."""

    jobs: JobTable
    output: EndpointOutput
    outbox: Outbox
    instances: Instances
    transcripts_bucket: str
    leftovers: bool

    def collect(self, run: Run, job: Job, location: str, round_number: int, *, had_its_try: bool) -> Collected:
        """location: where the output of this round lies. had_its_try: whether a transform job has run with the recording."""
        # Stored outputs of a former execution lie where that one's rows say.
        place = job.output_location if job.batch == run.prefix and job.output_location else location
        found = self.output.stored(job.job_id, TranscriptionOptions.from_json(job.options), place)
        if isinstance(found, Result):
            return self._succeed(job, found)
        if job.ending:
            return self._ended(job)
        if job.state is not JobState.SUBMITTED or job.batch != run.prefix:
            return Collected(Outcome.MOVED_ON, job)
        if job.output_location == self._location(run, job, round_number + 1):
            # This was done, and noted down too late.
            return Collected(Outcome.AGAIN, job)
        if found and not found.retryable:
            return self._fail(job, found)
        if not found and not had_its_try:
            return Collected(Outcome.UNFINISHED, job)
        return self._try_again(run, job, found, round_number)

    def _succeed(self, job: Job, result: Result) -> Collected:
        state = JobState.PARTIAL if result.transcript.is_partial else JobState.SUCCEEDED
        receipt = receipt_of(result.transcript, self.instances)
        warnings = tuple(dict.fromkeys(warning.code for warning in result.transcript.whisperstack.warnings))
        if not job.ending and not self.outbox.succeed(job, result.renderings, state, receipt):
            return self._ended(self.jobs.load(job.job_id))
        if job.ending and not job.ending.state.has_transcript:
            return self._ended(job)
        return Collected(Outcome(state.value), job, receipt=receipt, warnings=warnings)

    def _ended(self, job: Job | None) -> Collected:
        """What has been recorded before: by this function, by the reconciler, or by an operator who cancelled it."""
        if job is None or job.ending is None:
            return Collected(Outcome.MOVED_ON, job)
        self.outbox.make_up_announcement(job)
        if job.ending.error:
            return Collected(Outcome.FAILED, job, job.ending.error)
        return Collected(Outcome(job.state.value), job, receipt=job.ending.receipt)

    def _fail(self, job: Job, error: ErrorDocument) -> Collected:
        if not self.outbox.fail(job, error, JobState.FAILED):
            return self._ended(self.jobs.load(job.job_id))
        return Collected(Outcome.FAILED, job, error)

    def _try_again(self, run: Run, job: Job, error: ErrorDocument | None, round_number: int) -> Collected:
        if round_number < ROUNDS:
            next_location = self._location(run, job, round_number + 1)
            moved = self.jobs.try_in_batch(job, next_location, failed=error is not None, vanished=error is None)
            return Collected(Outcome.AGAIN, moved) if moved else Collected(Outcome.MOVED_ON, job)
        if self.leftovers:
            return Collected(Outcome.SENT_ON, job, failed=error is not None)
        missing = InferenceFailedError(
            f"{round_number} transform jobs gave no output for the recording; "
            "look into their logs, then upload the recording again"
        )
        return self._fail(job, error or missing.document())

    def _location(self, run: Run, job: Job, round_number: int) -> str:
        return f"s3://{self.transcripts_bucket}/{keys.batch_output_key(run.token, round_number, job.job_id)}"
