"""How much work the endpoint is given at a time, so that requests do not expire in SageMaker's queue.

One row holds the work that is submitted, in expected seconds of an instance's slot, and what recordings have really taken. Both
are kept by atomic additions, so that asking costs the same however many jobs there are. A function that dies between a job's
row and this one leaves the sum wrong; the reconciler counts anew every few minutes.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Final

from transcription_jobs.rows import Rows
from whisperstack_contract.job_table import ADMISSION_ROW
from whisperstack_contract.job_times import JobTimes

# Until something is measured: as long as the recording itself lasts, at 128 kbit/s.
_BYTES_A_SECOND: Final = 16_000

# Of measured seconds. Then both sums are halved, so that a change of model or instances shows within hours.
_MEMORY_SECONDS: Final = 36_000

_SUBMITTED: Final = "submitted_seconds"
_WAITING: Final = "waiting"
_MEASURED_BYTES: Final = "measured_bytes"
_MEASURED_SECONDS: Final = "measured_seconds"


@dataclass(frozen=True)
class Admission:
    """slots: recordings that the endpoint works on at a time, with all the instances that it may have."""

    rows: Rows
    times: JobTimes
    slots: int

    @property
    def limit_seconds(self) -> int:
        """Half of what the endpoint can do in a request's time to live: the other half is for estimates that are wrong."""
        return self.slots * self.times.request_ttl // 2

    def estimate(self, size_bytes: int) -> int:
        """Seconds that a slot will be busy with a recording of that size, at least 1."""
        row = self.rows.read(ADMISSION_ROW) or {}
        measured = int(row.get(_MEASURED_BYTES, 0))
        pace = Decimal(int(row.get(_MEASURED_SECONDS, 0))) / measured if measured else Decimal(1) / _BYTES_A_SECOND
        seconds = int((size_bytes * pace).to_integral_value(ROUND_CEILING))
        return min(max(seconds, 1), self.times.invocation_timeout)

    def reserve(self, work_seconds: int, *, in_turn: bool) -> bool:
        """Whether there is room, which is then taken. in_turn: for a job whose turn it is; others wait while any job waits."""
        condition = f"(attribute_not_exists(#{_SUBMITTED}) OR #{_SUBMITTED} < :limit)"
        changes: dict[str, bool] = {}
        if not in_turn:
            # Setting it to what it must be is how the condition gets to name it.
            condition += f" AND (attribute_not_exists(#{_WAITING}) OR #{_WAITING} = :{_WAITING})"
            changes = {_WAITING: False}
        row = self.rows.change(
            ADMISSION_ROW,
            changes,
            condition=condition,
            values={"limit": self.limit_seconds},
            additions={_SUBMITTED: work_seconds},
        )
        return row is not None

    def release(self, work_seconds: int) -> None:
        """Gives room back: the endpoint is done with it, or never had it."""
        self.rows.change(ADMISSION_ROW, {}, additions={_SUBMITTED: -work_seconds})

    def learn(self, size_bytes: int, processing_seconds: Decimal, work_seconds: int) -> None:
        """Gives the room of a recording back, and remembers what it really took."""
        seconds = int(processing_seconds.to_integral_value(ROUND_CEILING))
        additions = {_SUBMITTED: -work_seconds, _MEASURED_BYTES: size_bytes, _MEASURED_SECONDS: seconds}
        row = self.rows.change(ADMISSION_ROW, {}, additions=additions)
        if row and row[_MEASURED_SECONDS] > _MEMORY_SECONDS:
            halves = {name: -(int(row[name]) // 2) for name in (_MEASURED_BYTES, _MEASURED_SECONDS)}
            # Once, however many recordings end at this moment.
            self.rows.change(ADMISSION_ROW, {}, additions=halves, where={_MEASURED_SECONDS: row[_MEASURED_SECONDS]})

    def correct(self, submitted_seconds: int, *, waiting: bool) -> None:
        """What the reconciler has counted. waiting: whether jobs wait for room."""
        self.rows.change(ADMISSION_ROW, {_SUBMITTED: submitted_seconds, _WAITING: waiting})
