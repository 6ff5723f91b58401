"""The row that says which execution works on a batch: a lock, and a sign of life.

There is one row for each prefix, so that of two executions for the same recordings one stands back. The execution that holds it
renews the sign with everything that its functions do; the reconciler takes on the jobs of a batch that has fallen silent.
"""

from typing import Any, Final

from batch_runs.run import Run
from transcription_jobs.job_table import JobTable
from whisperstack_contract.job_table import batch_row

_HOLDER: Final = "holder"
_LAST: Final = "last_holder"
_ALIVE_UNTIL: Final = "alive_until"
_NOBODY: Final = ""

# Source: Step Functions API, DescribeExecution. One that waits for its redrive goes on by itself.
_ALIVE: Final = frozenset({"RUNNING", "PENDING_REDRIVE"})


class RunTakenOverError(Exception):
    """Another execution works on the batch by now. What this one would do, that one does."""


class RunRows:
    def __init__(self, jobs: JobTable) -> None:
        self._rows, self._jobs = jobs.rows, jobs

    def claim(self, run: Run, executions: Any) -> str | None:
        """Makes `run` the batch's execution; or gives the other one that is at work. executions: a client of Step Functions."""
        while True:
            row = self._rows.read(batch_row(run.prefix))
            holder = row[_HOLDER] if row else None
            if holder not in (None, _NOBODY, run.execution) and _is_alive(executions, str(holder)):
                return str(holder)
            mine = {_HOLDER: run.execution, _ALIVE_UNTIL: self._alive_until}
            if holder is None:
                if self._rows.create(batch_row(run.prefix), mine):
                    return None
            # Whoever else saw the same holder has been faster: look again.
            elif self._rows.change(batch_row(run.prefix), mine, where={_HOLDER: holder}) is not None:
                return None

    def renew(self, run: Run) -> None:
        """Raises RunTakenOverError. An execution that has let go, and that none has followed, may do again what it did."""
        alive = {_ALIVE_UNTIL: self._alive_until}
        if self._rows.change(batch_row(run.prefix), alive, where={_HOLDER: run.execution}) is not None:
            return
        row = self._rows.read(batch_row(run.prefix)) or {}
        if (row.get(_HOLDER), row.get(_LAST)) != (_NOBODY, run.execution):
            raise RunTakenOverError(f"another execution has taken over the batch from {run.execution}; look at that one")

    def release(self, run: Run) -> None:
        """The execution has done its work. Without effect where another has taken over."""
        done = {_HOLDER: _NOBODY, _LAST: run.execution, _ALIVE_UNTIL: 0}
        self._rows.change(batch_row(run.prefix), done, where={_HOLDER: run.execution})

    def is_alive(self, prefix: str) -> bool:
        """Whether someone works on the batch, or has until a while ago."""
        row = self._rows.read(batch_row(prefix))
        return row is not None and int(row[_ALIVE_UNTIL]) > self._jobs.now

    @property
    def _alive_until(self) -> int:
        return self._jobs.now + self._jobs.times.batch


def _is_alive(executions: Any, execution: str) -> bool:
    try:
        return executions.describe_execution(executionArn=execution)["status"] in _ALIVE
    except executions.exceptions.ExecutionDoesNotExist:
        # Step Functions forgets executions after 90 days.
        return False
