"""Jobs that need someone to look: whose answer does not come, who wait for their turn, whose end was not told.

Everything is found in the index of unfinished jobs, read by pages. What is due stays due until its row changes, so a run that
dies, or whose messages get lost, is made up for by the next; and a job that is looked at twice is handled once.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from batch_runs.run_rows import RunRows
from reconcile_jobs.answers import Answers
from transcription_jobs.admission import Admission
from transcription_jobs.job import Job
from transcription_jobs.job_table import ActiveJob, JobTable
from transcription_jobs.outbox import Outbox
from transcription_jobs.queues import send
from whisperstack_contract import messages, metrics
from whisperstack_contract.errors import JobExpiredError
from whisperstack_contract.job_table import ActiveFor
from whisperstack_contract.jobs import JobState

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Turns given in one run. At the endpoint's own limits far fewer can have room at a time.
_TURNS: Final = 20_000


@dataclass(frozen=True)
class Unfinished:
    """intake_queue, results_queue: URLs. in_time: whether the run may go on to another job."""

    jobs: JobTable
    runs: RunRows
    admission: Admission
    answers: Answers
    outbox: Outbox
    sqs: "SQSClient"
    intake_queue: str
    results_queue: str

    def reconcile(self, found: Counter[str], in_time: Callable[[], bool]) -> None:
        """Counts in `found`, by metric, what was lost and is found."""
        self._announce(found, in_time)
        self._look_for_answers(found, in_time)
        self._look_after_batches(found, in_time)
        self._give_turns()

    def _announce(self, found: Counter[str], in_time: Callable[[], bool]) -> None:
        for active in self.jobs.active(ActiveFor.ANNOUNCEMENT, until=self.jobs.now):
            if not in_time():
                return
            job = self.jobs.load(active.job_id)
            if job and job.ending and self.outbox.make_up_announcement(job):
                found[metrics.ANNOUNCEMENTS_FOUND] += 1

    def _look_for_answers(self, found: Counter[str], in_time: Callable[[], bool]) -> None:
        for active in self.jobs.active(ActiveFor.RESULT, until=self.jobs.now):
            if not in_time():
                return
            job = self.jobs.load(active.job_id)
            # The index lags: the job may have moved on.
            if job and job.state is JobState.SUBMITTED and job.deadline is not None and job.deadline <= self.jobs.now:
                found.update(self._look_for_answer(job))

    def _look_after_batches(self, found: Counter[str], in_time: Callable[[], bool]) -> None:
        """Jobs of a batch that has fallen silent: what it has stored is recorded, the others get their turn at the endpoint."""
        alive: dict[str, bool] = {}
        for active in self.jobs.active(ActiveFor.BATCH, until=self.jobs.now):
            if not in_time():
                return
            job = self.jobs.load(active.job_id)
            if not job or job.batch is None or job.ending or job.deadline is None or job.deadline > self.jobs.now:
                continue
            if job.batch not in alive:
                alive[job.batch] = self.runs.is_alive(job.batch)
            if alive[job.batch]:
                self.jobs.look_again(job)
            elif answer := self.answers.find(job):
                send(self.sqs, self.results_queue, [answer])
                found[metrics.RESULTS_FOUND] += 1
            elif self.jobs.retry(job, failed=False):
                found[metrics.REQUESTS_LOST] += 1

    def _look_for_answer(self, job: Job) -> list[str]:
        """What was found, by metric."""
        if answer := self.answers.find(job):
            send(self.sqs, self.results_queue, [answer])
            return [metrics.RESULTS_FOUND]
        if job.received_at + self.jobs.times.age_limit < self.jobs.now:
            return self._expire(job)
        if job.lost_at is not None and job.lost_at <= self.jobs.now:
            if job.requeues >= self.jobs.times.requeues:
                return self._expire(job)
            if self.jobs.retry(job, failed=False):
                self.admission.release(job.work_seconds)
            return [metrics.REQUESTS_LOST]
        if not job.invoked_at:
            # Whoever wrote down the intent has died, or cannot reach the endpoint.
            send(self.sqs, self.intake_queue, [messages.turn(job.job_id)])
        self.jobs.look_again(job)
        return []

    def _expire(self, job: Job) -> list[str]:
        hours = (self.jobs.now - job.received_at) // 3600
        error = JobExpiredError(
            f"the endpoint has not answered any of {job.attempt} requests in {hours} hours; "
            "look at its alarms and its log, then upload the recording again"
        )
        if not self.outbox.fail(job, error.document(), JobState.EXPIRED):
            return []
        self.admission.release(job.work_seconds)
        return [metrics.JOBS_EXPIRED]

    def _give_turns(self) -> None:
        """To the oldest of those that are due, as many as there is room for, and to all that are too old to wait."""
        submitted = sum(active.work_seconds for active in self.jobs.active(ActiveFor.RESULT))
        room = self.admission.limit_seconds - submitted
        turns: list[str] = []
        waiting = False
        for active in self.jobs.active(ActiveFor.SUBMISSION, until=self.jobs.now):
            if room <= 0 and not self._is_too_old(active):
                waiting = True
                break
            room -= max(active.work_seconds, 1)
            turns.append(messages.turn(active.job_id))
            if len(turns) == _TURNS:
                break
        # First, so that the messages find it said.
        self.admission.correct(submitted, waiting=waiting)
        send(self.sqs, self.intake_queue, turns)

    def _is_too_old(self, active: ActiveJob) -> bool:
        return active.received_at + self.jobs.times.age_limit < self.jobs.now
