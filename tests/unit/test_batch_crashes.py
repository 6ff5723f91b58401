"""A batch's functions die between any two of their calls, and the execution goes on, or is killed and started again."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.batch import Batch, error
from tests.unit.pipeline import Pipeline
from tests.unit.wire import Crash, Wire
from whisperstack_contract.jobs import job_id

RECORDINGS = {
    "good.mp3": b"audio",
    "bad.mp3": error("not_audio"),
    "missing.mp3": b"no output",
    "empty.mp3": b"",
    "large.mp3": b"x" * (1024 * 1024 + 1),
}


class Attempt:
    """A batch of one recording of each kind."""

    def __init__(self, batch: Batch, prefix: str) -> None:
        self.batch, self.pipeline, self.prefix = batch, batch.pipeline, prefix
        self.sources = {name: self.pipeline.upload(prefix + name, body) for name, body in RECORDINGS.items()}
        self.jobs = {name: job_id(source) for name, source in self.sources.items()}

    def run(self, execution: str | None = None) -> dict[str, Any]:
        return self.batch.run(execution, self.prefix)

    def pass_time(self) -> None:
        """Until nobody can be at an end's announcement any more."""
        for source in self.sources.values():
            if self.pipeline.row_if_there(source).get("active") == "announcement":
                self.pipeline.make_due(source)

    def check(self, what: str) -> None:
        """Each recording has its end, or is on its way to the endpoint; none was heard for nothing, or told of wrongly."""
        rows = {name: self.pipeline.row_if_there(source) for name, source in self.sources.items()}
        assert {name: row.get("state") for name, row in rows.items()} == {
            "good.mp3": "succeeded",
            "bad.mp3": "failed",
            "missing.mp3": "received",
            "empty.mp3": "rejected",
            "large.mp3": None,
        }, what
        assert (self.batch.calls[self.jobs["good.mp3"]], self.batch.calls[self.jobs["bad.mp3"]]) == (1, 1), what
        # The one that waits is due, so that the reconciler finds it if its message was never sent.
        active = set(self.pipeline.active_jobs()) & set(self.jobs.values())
        assert (active, rows["missing.mp3"]["active"]) == ({self.jobs["missing.mp3"]}, "submission"), what
        told = {end.event_id for end, _ in self.pipeline.announcements() if end.source.key.startswith(self.prefix)}
        assert told == {f"{self.jobs[name]}:{rows[name]['state']}" for name in ("good.mp3", "bad.mp3", "empty.mp3")}, what
        assert f"{self.prefix}large.mp3" in " ".join(self.pipeline.received(self.pipeline.intake)), what


def calls_of(attempt: Attempt, wire: Wire) -> int:
    """Of a whole run that nothing disturbs."""
    wire.calls.clear()
    attempt.run()
    attempt.check("undisturbed")
    return len(wire.calls)


def kill_and_start_again(attempt: Attempt, number: int, wire: Wire) -> None:
    execution = attempt.batch.start()
    wire.calls.clear()
    wire.die_before_call(number)
    with pytest.raises(Crash):
        attempt.run(execution)
    where = f"killed before call {number}, after {wire.operations[-3:]}"
    wire.revive()
    attempt.batch.kill(execution)
    attempt.pass_time()

    # A second run may have had nothing for its jobs but the recording that never gets an output.
    assert attempt.run()["state"] in ("complete", "no_output"), where
    attempt.check(where)


# Every ninth call in `make test`, the others in `make batch-test`; together they would fill the memory, as moto keeps each.
_STEP = 9
from_each = pytest.mark.parametrize("first", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, _STEP))])


@pytest.mark.timeout(600)
@from_each
def test_nothing_is_lost_or_done_twice_wherever_an_execution_is_killed(batch: Batch, wire: Wire, first: int):
    for number in range(first, calls_of(Attempt(batch, "batch/undisturbed/"), wire), _STEP):
        kill_and_start_again(Attempt(batch, f"batch/{number}/"), number, wire)


class RetriedBatch(Batch):
    """Step Functions calls a function again that has died."""

    def _call(self, handler: Callable[..., Any], event: dict[str, Any]) -> dict[str, Any]:
        try:
            return super()._call(handler, event)
        except Crash:
            self.wire.revive()
            return super()._call(handler, event)


@pytest.mark.timeout(600)
@from_each
def test_an_execution_goes_on_wherever_one_of_its_functions_dies(pipeline: Pipeline, wire: Wire, first: int):
    batch = RetriedBatch(pipeline, wire)
    for number in range(first, calls_of(Attempt(batch, "batch/undisturbed/"), wire), _STEP):
        attempt = Attempt(batch, f"batch/{number}/")
        wire.calls.clear()
        wire.die_before_call(number)

        summary = attempt.run()

        assert (summary["state"], summary["recordings"]) == ("complete", len(RECORDINGS)), number
        assert summary["counts"]["sent_on"] == 2, number
        attempt.pass_time()
        # Ends that were told too late for this run are told by the next.
        attempt.run()
        attempt.check(f"died before call {number}")
