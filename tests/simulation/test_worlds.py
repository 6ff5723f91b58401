"""The simulation in its short form: some worlds, every mutant, and that a seed tells the same story each time."""

import os
import subprocess
import sys
from typing import Any, ClassVar

import pytest

from simulation.faults import Fault
from simulation.invariants import check
from simulation.mutants import NAMES
from simulation.report import Report, story_of
from simulation.runs import Outcome, Plan, run, run_all
from simulation.world import Parts, World
from transcription_jobs.job import Job
from transcription_jobs.outbox import Outbox

_SEEDS = range(12)
_UPLOADS = 100
_MUTANT_SEEDS = 40


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return [run(Plan(seed, _UPLOADS)) for seed in _SEEDS]


def test_no_world_breaks_a_rule(outcomes: list[Outcome]):
    broken = [story_of(outcome) for outcome in outcomes if outcome.violations]
    assert not broken, "\n".join(broken)
    assert all(outcome.jobs >= _UPLOADS * 0.9 for outcome in outcomes)


def test_every_fault_happens(outcomes: list[Outcome]):
    report = Report()
    for outcome in outcomes:
        report.add(outcome)

    # A request expires only where there is no instance for six hours, of which few worlds have one.
    assert set(report.missing_faults) <= {Fault.REQUEST_EXPIRED_SILENTLY, Fault.REQUEST_EXPIRED_LOUDLY}


def test_a_repeated_announcement_has_a_reason(outcomes: list[Outcome]):
    reasons = {reason for outcome in outcomes for reason in outcome.repeats}
    assert reasons <= {"it crashed", "its time was up", "a call was refused", "an answer was lost"}


def test_a_seed_gives_the_same_history_in_another_process_with_another_order_of_sets():
    digests = {_replay(hash_seed) for hash_seed in ("1", "2")}
    assert digests == {run(Plan(3, 40)).digest}


def _replay(hash_seed: str) -> str:
    command = [sys.executable, "-m", "simulation", "replay", "3", "--uploads", "40"]
    # As a user has it: with no path to our packages.
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


def test_another_seed_gives_another_history():
    assert run(Plan(3, 20)).digest != run(Plan(4, 20)).digest


def test_worlds_are_told_in_one_order_however_long_each_takes():
    plans = [Plan(1, 5), Plan(2, 200), Plan(0, 5)]
    assert [outcome.plan.seed for outcome in run_all(plans, 2)] == [2, 1, 0]


@pytest.mark.parametrize("mutant", NAMES)
def test_a_pipeline_without_a_safeguard_breaks_a_rule(mutant: str):
    """In the first world that notices, of so many; `make simulate` has more for those that few worlds notice."""
    noticed = next((seed for seed in range(_MUTANT_SEEDS) if _notices(seed, mutant)), None)
    if noticed is None:
        pytest.fail(f"{mutant} survives {_MUTANT_SEEDS} worlds; which fault is missing?")
    assert not run(Plan(noticed, _UPLOADS), with_story=False).violations


def _notices(seed: int, mutant: str) -> bool:
    return bool(run(Plan(seed, _UPLOADS, mutant), with_story=False).violations)


class _MistakenOnce(Outbox):
    """Has a mistake that a second delivery no longer meets."""

    met: ClassVar[set[str]] = set()

    def succeed(self, job: Job, *arguments: Any) -> bool:
        if job.job_id not in self.met:
            self.met.add(job.job_id)
            raise KeyError("nobody has this name")
        return super().succeed(job, *arguments)


def test_a_mistake_in_a_function_breaks_a_rule_though_a_retry_hides_it():
    world = World(0, 20, Parts(outbox=_MistakenOnce))
    world.run()
    assert [str(violation) for violation in check(world)] == [
        "functions raise only what a later try mends: KeyError in succeed: 'nobody has this name'"
    ]


def test_a_violation_is_told_with_its_story_and_how_to_see_it_again():
    told = story_of(run(Plan(0, _UPLOADS, "reconciler")))

    assert "waits for" in told
    assert "InvokeEndpointAsync" in told
    assert told.splitlines()[-1] == f"again: make replay SEED=0 UPLOADS={_UPLOADS} MUTANT=reconciler"
    assert len(told.splitlines()) < 70
