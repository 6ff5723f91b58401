"""What a run of many worlds says: as it goes on, at its end, and for bench/results."""

import json
import platform
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from simulation.faults import Fault
from simulation.mutants import NAMES
from simulation.runs import Outcome

_VERSIONS = ("aws-lambda-powertools", "boto3", "greenlet")


@dataclass
class Report:
    """caught: by mutant, the first seed that found it, None where none did. seconds: of the whole run."""

    worlds: Counter[int] = field(default_factory=Counter)
    jobs: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    repeats: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    violated: list[Outcome] = field(default_factory=list)
    caught: dict[str, Outcome | None] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, outcome: Outcome) -> None:
        self.worlds[outcome.plan.uploads] += 1
        self.jobs += outcome.jobs
        self.ends += outcome.ends
        self.repeats += outcome.repeats
        self.faults += outcome.faults
        if outcome.violations:
            self.violated.append(outcome)

    @property
    def missing_faults(self) -> list[str]:
        """That never happened: what was not tried is not shown."""
        return [str(fault) for fault in Fault if not self.faults[str(fault)]]

    @property
    def survivors(self) -> list[str]:
        return [name for name, outcome in self.caught.items() if outcome is None]

    def show(self, console: Console) -> None:
        table = Table("what", "how many", title="Simulation", title_justify="left")
        table.columns[1].justify = "right"
        for uploads, worlds in sorted(self.worlds.items()):
            table.add_row(f"worlds of {uploads} uploads", f"{worlds:,}")
        table.add_row("versions with a job", f"{self.jobs:,}")
        for state, number in self.ends.most_common():
            table.add_row(f"  ended as {state}", f"{number:,}")
        table.add_row("announcements repeated", f"{self.repeats.total():,}")
        for reason, number in self.repeats.most_common():
            table.add_row(f"  because {reason}", f"{number:,}")
        table.add_row("faults", f"{self.faults.total():,}")
        table.add_row("worlds with a violation", f"{len(self.violated):,}")
        for name, outcome in self.caught.items():
            table.add_row(f"without {name}", f"caught by seed {outcome.plan.seed}" if outcome else "SURVIVED")
        table.add_row("seconds", f"{self.seconds:.0f}")
        console.print(table)
        for fault in self.missing_faults:
            console.print(f"This never happened: {fault}", highlight=False)

    def write(self, path: Path, processes: int) -> None:
        path.write_text(json.dumps(self._document(processes), indent=1) + "\n")

    def _document(self, processes: int) -> dict[str, Any]:
        return {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": {
                "processor": platform.machine(),
                "cores": psutil.cpu_count(),
                "processes": processes,
                "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            },
            "versions": {"python": platform.python_version(), **{name: version(name) for name in _VERSIONS}},
            "seconds": round(self.seconds),
            "worlds": {f"{uploads} uploads": worlds for uploads, worlds in sorted(self.worlds.items())},
            "jobs": self.jobs,
            "violations": len(self.violated),
            "ends": dict(self.ends.most_common()),
            "announcements_repeated": dict(self.repeats.most_common()),
            "faults": dict(self.faults.most_common()),
            "mutants": {
                name: {"seed": outcome.plan.seed, "violation": outcome.violations[0]} if outcome else "survived"
                for name in NAMES
                if name in self.caught
                for outcome in [self.caught[name]]
            },
        }


def story_of(outcome: Outcome) -> str:
    """What went wrong in a world, and how to see it again."""
    mutant = f" MUTANT={outcome.plan.mutant}" if outcome.plan.mutant else ""
    violations = f"{len(outcome.violations)} violations"
    lines = [
        f"seed {outcome.plan.seed}, {outcome.plan.uploads} uploads: {violations}, digest {outcome.digest}",
        *(f"  {violation}" for violation in outcome.violations[:5]),
        "the first of them, hours:minutes:seconds from the beginning, who, what, on what, with what outcome:",
        *(f"  {line}" for line in outcome.story),
        f"again: make replay SEED={outcome.plan.seed} UPLOADS={outcome.plan.uploads}{mutant}",
    ]
    return "\n".join(lines)
