"""The job table: every change of a job's state, each one a conditional write."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from transcription_jobs.job import Ending, Job, ending_attributes, job_from_row, new_row
from transcription_jobs.rows import LOOKUPS_A_CALL, Rows, from_item, to_item
from whisperstack_contract.job_table import (
    ACTIVE,
    ACTIVE_INDEX,
    DEADLINE,
    ENDED,
    ENDED_AT,
    ENDED_INDEX,
    EXPIRES_AT,
    PARTITION_KEY,
    RECEIVED_AT,
    WORK_SECONDS,
    ActiveFor,
)
from whisperstack_contract.job_times import JobTimes
from whisperstack_contract.jobs import JobState, inference_id, require_transition

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_PAGE: Final = 1000

# What a row says of the current attempt, once SageMaker has taken it.
_OF_AN_ATTEMPT: Final = ("invoked_at", "output_location", "failure_location")


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ActiveJob:
    """What the index tells of an unfinished job. It lags behind the row. deadline, received_at: seconds since 1970."""

    job_id: str
    deadline: int
    received_at: int
    work_seconds: int


class JobTable:
    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        name: str,
        times: JobTimes | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.rows = Rows(dynamodb, name)
        self.times = times or JobTimes()
        self.clock = clock

    @property
    def now(self) -> int:
        """Seconds since 1970."""
        return int(self.clock().timestamp())

    def create(self, job: Job, wait: int | None = None) -> bool:
        """Whether the row is new; an existing one stays as it is. wait: seconds until someone should look after it."""
        wait = self.times.intake if wait is None else wait
        return self.rows.create(job.job_id, {**self._new_row(job), **_active(ActiveFor.SUBMISSION, self.now + wait)})

    def create_in_batch(self, job: Job) -> bool:
        """Whether the row of a staged job is new: the intent to transcribe it, with the place where the output will lie."""
        first = self._new_row(replace(job, state=JobState.SUBMITTED, attempt=1))
        place = {"content_type": job.content_type, "output_location": job.output_location}
        return self.rows.create(job.job_id, {**first, **place, **self._in_batch()})

    def load(self, job_id: str) -> Job | None:
        row = self.rows.read(job_id)
        return job_from_row(job_id, row) if row else None

    def load_all(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """Those that have a row."""
        found: dict[str, Job] = {}
        for start in range(0, len(job_ids), LOOKUPS_A_CALL):
            for row in self.rows.read_all(job_ids[start : start + LOOKUPS_A_CALL]):
                found[row[PARTITION_KEY]] = job_from_row(row[PARTITION_KEY], row)
        return found

    def begin_attempt(self, job: Job, work_seconds: int) -> Job | None:
        """Writes down what was staged, and the intent to invoke: received → submitted. None where another was faster."""
        attempt = job.attempt + 1
        return self._move(
            job,
            JobState.SUBMITTED,
            {
                "attempt": attempt,
                "inference_id": inference_id(job.job_id, attempt),
                "content_type": job.content_type,
                "options": job.options,
                "lost_at": self.now + self.times.answer,
                WORK_SECONDS: work_seconds,
                **_active(ActiveFor.RESULT, self.now + self.times.look),
            },
            # Whoever invoked the attempt before may have noted it after that had failed.
            removals=_OF_AN_ATTEMPT,
        )

    def try_in_batch(self, job: Job, output_location: str, *, failed: bool = False, vanished: bool = False) -> Job | None:
        """Another attempt at a job that a batch has: submitted → submitted. None where it has moved on since it was loaded.

        failed, vanished: what became of the last attempt; neither where no transform job was begun.
        """
        changes = {
            "attempt": job.attempt + 1,
            "failures": job.failures + failed,
            "requeues": job.requeues + vanished,
            "output_location": output_location,
            **self._in_batch(),
        }
        row = self.rows.change(job.job_id, changes, where={"state": JobState.SUBMITTED.value, "attempt": job.attempt})
        return job_from_row(job.job_id, row) if row else None

    def postpone(self, job: Job, work_seconds: int) -> None:
        """Writes down what was staged, and keeps the job waiting for room, by its age. Without effect where it has moved on."""
        self.rows.change(
            job.job_id,
            {
                "content_type": job.content_type,
                "options": job.options,
                WORK_SECONDS: work_seconds,
                **_active(ActiveFor.SUBMISSION, job.received_at if job.attempt == 0 else self.now),
            },
            where={"state": job.state.value, "attempt": job.attempt},
        )

    def record_invocation(self, job: Job, output_location: str, failure_location: str | None) -> None:
        """Notes that SageMaker has the request. Without effect where a later attempt has begun meanwhile."""
        changes = {"invoked_at": self.clock().isoformat(), "output_location": output_location}
        if failure_location:
            changes["failure_location"] = failure_location
        # No condition on the state: a short recording's result can be recorded before this write.
        self.rows.change(job.job_id, changes, where={"attempt": job.attempt})

    def look_again(self, job: Job) -> None:
        """Puts off the next look at a submitted job."""
        later = {DEADLINE: self.now + (self.times.look if job.batch is None else self.times.batch)}
        self.rows.change(job.job_id, later, where={"state": job.state.value, "attempt": job.attempt})

    def retry(self, job: Job, *, failed: bool) -> Job | None:
        """submitted → received, for another attempt: after a while where the last one failed, at once where it vanished.

        None where the job has moved on since `job` was loaded.
        """
        counted = replace(job, failures=job.failures + failed, requeues=job.requeues + (not failed))
        wait = self.times.retry_after(counted.failures) if failed else 0
        # A batch may take longer than a job may wait for the endpoint, which begins now.
        anew = {} if job.batch is None else {RECEIVED_AT: self.now}
        return self._move(
            job,
            JobState.RECEIVED,
            {
                "failures": counted.failures,
                "requeues": counted.requeues,
                **anew,
                **_active(ActiveFor.SUBMISSION, self.now + wait),
            },
            removals=(*_OF_AN_ATTEMPT, "lost_at", "batch"),
        )

    def end(self, job: Job, ending: Ending) -> Job | None:
        """The job's one end state. None where the job has moved on since `job` was loaded, ended or begun another attempt.

        Whoever ended it announces it; until that can no longer be, nobody else does.
        """
        return self._move(
            job,
            ending.state,
            {
                **ending_attributes(ending),
                ENDED: ending.state.value,
                ENDED_AT: self.clock().isoformat(),
                **_active(ActiveFor.ANNOUNCEMENT, self.now + self.times.announcing),
            },
            # A transcript counts whichever attempt it comes from.
            any_attempt=ending.state.has_transcript,
        )

    def take_over_announcement(self, job: Job) -> Job | None:
        """The job, for the one caller that may announce it now; None where it is announced, or someone may be at it."""
        if job.deadline is None or job.deadline > self.now:
            return None
        row = self.rows.change(
            job.job_id, {DEADLINE: self.now + self.times.announcing}, where={DEADLINE: job.deadline, "state": job.state.value}
        )
        return job_from_row(job.job_id, row) if row else None

    def mark_announced(self, job: Job) -> None:
        self.rows.change(
            job.job_id,
            {"announced_at": self.clock().isoformat()},
            removals=(ACTIVE, DEADLINE),
            where={"state": job.state.value},
        )

    def active(self, what: ActiveFor, until: int | None = None) -> Iterator[ActiveJob]:
        """Unfinished jobs with a deadline of at most `until`, the most overdue first; read by pages as they are asked for."""
        condition = "#active = :active"
        values: dict[str, Any] = {":active": what.value}
        names = {"#active": ACTIVE}
        if until is not None:
            condition += " AND #deadline <= :until"
            names["#deadline"] = DEADLINE
            values |= {":until": until}
        for row in self._query(ACTIVE_INDEX, condition, names, values):
            yield ActiveJob(row[PARTITION_KEY], int(row[DEADLINE]), int(row[RECEIVED_AT]), int(row[WORK_SECONDS]))

    def ended(self, state: JobState) -> Iterator[str]:
        """Ids of jobs that ended so, the latest first."""
        for row in self._query(
            ENDED_INDEX, "#ended = :ended", {"#ended": ENDED}, {":ended": state.value}, ScanIndexForward=False
        ):
            yield row[PARTITION_KEY]

    def missing(self, job_ids: Sequence[str]) -> set[str]:
        """Those without a row. At most 100 ids."""
        return set(job_ids) - {row[PARTITION_KEY] for row in self.rows.read_all(job_ids, (PARTITION_KEY,))}

    def _in_batch(self) -> dict[str, Any]:
        deadline = self.now + self.times.batch
        return {"lost_at": deadline, **_active(ActiveFor.BATCH, deadline)}

    def _new_row(self, job: Job) -> dict[str, Any]:
        """With the time of its deletion: by then the job has ended, and what it tells of is gone."""
        kept = self.times.kept
        return new_row(job) | ({} if kept is None else {EXPIRES_AT: self.now + self.times.age_limit + kept})

    def _query(
        self, index: str, condition: str, names: Mapping[str, str], values: Mapping[str, Any], **more: Any
    ) -> Iterator[dict[str, Any]]:
        while True:
            page = self.rows.dynamodb.query(
                TableName=self.rows.table,
                IndexName=index,
                KeyConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=to_item(values),
                Limit=_PAGE,
                **more,
            )
            yield from map(from_item, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            more["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _move(
        self,
        job: Job,
        state: JobState,
        changes: Mapping[str, Any],
        *,
        any_attempt: bool = False,
        removals: tuple[str, ...] = (),
    ) -> Job | None:
        require_transition(job.state, state)
        where: dict[str, Any] = {"state": job.state.value}
        if not any_attempt:
            where["attempt"] = job.attempt
        row = self.rows.change(job.job_id, {**changes, "state": state.value}, where=where, removals=removals)
        return job_from_row(job.job_id, row) if row else None


def _active(what: ActiveFor, deadline: int) -> dict[str, Any]:
    return {ACTIVE: what.value, DEADLINE: deadline}
