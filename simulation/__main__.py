"""`python -m simulation`: many worlds, or one of them again."""

import sys
from pathlib import Path

# Source roots of their own, and no installed packages.
sys.path.extend(str(Path(__file__).resolve().parents[1] / root) for root in ("contract", "lambda", "inference"))

import os
import time
from collections.abc import Generator
from contextlib import closing
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress

from local.result_file import ResultOption
from simulation.mutants import NAMES, mutants
from simulation.report import Report, story_of
from simulation.runs import Outcome, Plan, run, run_all

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The job pipeline's own code, in virtual time, on an AWS that loses, repeats, delays and refuses.",
)

_SEEDS: Final = 1000
_UPLOADS: Final = 200
_LARGE_SEEDS: Final = 10
_LARGE_UPLOADS: Final = 10_000
# A mutant that outlives so many worlds of the usual size stands for a fault that is missing.
_MUTANT_SEEDS: Final = 200
_STORIES: Final = 3
# Each takes some 60 MB, and more than the cores bring nothing.
_MOST_JOBS: Final = 64

MutantOption = Annotated[str | None, typer.Option("--mutant", help=f"Leave out a safeguard: {', '.join(NAMES)}.")]


@app.command("run")
def run_worlds(
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help=f"Worlds of {_UPLOADS} uploads.")] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, max=_MOST_JOBS, help="Processes; by default one for each core.")
    ] = None,
    result: ResultOption = None,
) -> None:
    """Run worlds, each with its seed, and every mutant. Without --seeds: 1,000 of 200 uploads, and 10 of 10,000."""
    console, began = Console(), time.monotonic()
    processes = jobs or os.cpu_count() or 1
    plans = [Plan(seed, _UPLOADS) for seed in range(seeds or _SEEDS)]
    if seeds is None:
        plans += [Plan(seed, _LARGE_UPLOADS) for seed in range(_LARGE_SEEDS)]
    report = Report()
    try:
        _run_all(plans, report, console, processes)
    except KeyboardInterrupt as interrupt:
        done = f"{report.worlds.total():,} of {len(plans):,} worlds and {len(report.caught)} of {len(NAMES)} mutants"
        console.print(f"Interrupted after {done}; {len(report.violated):,} worlds broke a rule.", highlight=False)
        raise typer.Exit(130) from interrupt
    report.seconds = time.monotonic() - began
    report.show(console)
    if result:
        report.write(result, processes)
    if report.violated or report.survivors:
        raise typer.Exit(1)


def _run_all(plans: list[Plan], report: Report, console: Console, processes: int) -> None:
    """The worlds, then every mutant, into the report; tells of what goes wrong as it goes on."""
    began = time.monotonic()
    with Progress(console=console) as progress:
        task = progress.add_task("worlds", total=sum(plan.uploads for plan in plans))
        told = time.monotonic()
        for outcome in run_all(plans, processes):
            report.add(outcome)
            progress.advance(task, outcome.plan.uploads)
            if outcome.violations and len(report.violated) <= _STORIES:
                progress.console.print(story_of(outcome), markup=False, highlight=False, soft_wrap=True)
            if not console.is_terminal and time.monotonic() - told > 20:
                told = time.monotonic()
                console.print(f"{report.worlds.total():,} of {len(plans):,} worlds, {told - began:.0f} s", highlight=False)
    unsound = {outcome.plan.seed for outcome in report.violated}
    for mutant in mutants():
        report.caught[mutant.name] = found = _hunt(mutant.name, unsound, processes)
        told_as = f"caught by seed {found.plan.seed}: {found.violations[0]}" if found else f"SURVIVED {_MUTANT_SEEDS} seeds"
        console.print(f"mutant {mutant.name} ({mutant.what}): {told_as}", highlight=False, markup=False, soft_wrap=True)


def _hunt(mutant: str, unsound: set[int], processes: int) -> Outcome | None:
    """The first world that finds the mutant, and finds nothing wrong with the pipeline as it is."""
    with closing(_outcomes(mutant, unsound, processes)) as outcomes:
        return next((outcome for outcome in outcomes if outcome.violations and not run(_plain(outcome.plan)).violations), None)


def _outcomes(mutant: str, unsound: set[int], processes: int) -> Generator[Outcome]:
    plans = [Plan(seed, _UPLOADS, mutant) for seed in range(_MUTANT_SEEDS) if seed not in unsound]
    # By handfuls, as most are found at once.
    for start in range(0, len(plans), processes * 4):
        yield from run_all(plans[start : start + processes * 4], processes)


def _plain(plan: Plan) -> Plan:
    return Plan(plan.seed, plan.uploads)


@app.command()
def replay(
    seed: Annotated[int, typer.Argument(help="The world's seed.")],
    uploads: Annotated[int, typer.Option("--uploads", min=1, help="How many uploads it has.")] = _UPLOADS,
    mutant: MutantOption = None,
) -> None:
    """Run one world again, and tell what went wrong in it."""
    if mutant is not None and mutant not in NAMES:
        raise typer.BadParameter(f"{mutant!r} is no mutant; choose one of: {', '.join(NAMES)}", param_hint="--mutant")
    outcome = run(Plan(seed, uploads, mutant))
    if outcome.violations:
        typer.echo(story_of(outcome))
        raise typer.Exit(1)
    typer.echo(f"seed {seed}, {uploads} uploads: {outcome.jobs} jobs, no violation, digest {outcome.digest}")


if __name__ == "__main__":
    app()
