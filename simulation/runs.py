"""Many worlds, side by side in processes."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import Pool, parent_process
from multiprocessing.connection import wait
from typing import Any

from simulation.invariants import check, repeats
from simulation.mutants import find_mutant
from simulation.world import World


@dataclass(frozen=True)
class Plan:
    """One world. mutant: the name of one, or None for the pipeline as it is."""

    seed: int
    uploads: int
    mutant: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a world. story: of the first violation. repeats: of announcements, by what cut the one before off."""

    plan: Plan
    jobs: int
    digest: str
    violations: list[str]
    story: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    repeats: Counter[str] = field(default_factory=Counter)


def run(plan: Plan, *, with_story: bool = True) -> Outcome:
    """Runs a world, and a second time, listening, if it breaks a rule."""
    world = _world(plan)
    world.run()
    violations = check(world)
    story: list[str] = []
    if violations and with_story:
        second = _world(plan, violations[0].subjects)
        second.run()
        story = second.history.story
    jobs = world.jobs().values()
    return Outcome(
        plan,
        len(jobs),
        world.history.digest,
        [str(violation) for violation in violations],
        story,
        Counter(row["state"]["S"] for row in jobs),
        Counter({str(fault): count for fault, count in world.faults.counts.items()}),
        repeats(world),
    )


def run_all(plans: Iterable[Plan], processes: int) -> Iterator[Outcome]:
    """The largest first, and of a size in the order of the plans, however long each takes: what is found first is the same in
    every run. The processes end with the caller's interest."""
    # So that no process is left with the longest at the end.
    ordered = sorted(plans, key=lambda plan: -plan.uploads)
    if processes == 1:
        yield from map(run, ordered)
        return
    # Leaving the block ends the processes, whatever they are at.
    with Pool(min(processes, len(ordered)), initializer=_belong_to_the_caller) as pool:
        yield from pool.imap(run, ordered)


def _belong_to_the_caller() -> None:
    """Leaves interrupts to the caller, and ends with it, however it ends: also where it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if caller := parent_process():
        threading.Thread(target=_end_after, args=(caller.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _world(plan: Plan, subjects: tuple[str, ...] = ()) -> World:
    parts: Any = find_mutant(plan.mutant).parts if plan.mutant else None
    return World(plan.seed, plan.uploads, parts, subjects)
