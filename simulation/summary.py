"""What `make simulate` found last, for docs/reliability.md."""

import json
from pathlib import Path
from typing import Any, Final

RESULT: Final = Path(__file__).resolve().parents[1] / "bench" / "results" / "simulation.json"


def summary() -> str:
    if not RESULT.exists():
        return "It has not been run in full since it was last changed."
    found: dict[str, Any] = json.loads(RESULT.read_text())
    machine, versions = found["machine"], found["versions"]
    worlds = " and ".join(f"{number:,} worlds of {kind}" for kind, number in found["worlds"].items())
    repeats = found["announcements_repeated"]
    reasons = ", ".join(f"{number:,} because {reason}" for reason, number in repeats.items())
    lines = [
        f"Last run in full on {found['date']}, in {found['seconds'] / 60:.0f} minutes on {machine['cores']} cores "
        f"({machine['processor']}, busy with other work), Python {versions['python']}, boto3 {versions['boto3']}:",
        f"{worlds}, {found['jobs']:,} jobs, {sum(found['faults'].values()):,} faults. "
        f"**{found['violations']} worlds broke a rule.**",
        f"{sum(repeats.values()):,} announcements were repeated: {reasons}.",
        "",
        "| without | caught by seed | what it broke |",
        "|---|---|---|",
    ]
    for name, caught in found["mutants"].items():
        told = "SURVIVED | |" if caught == "survived" else f"{caught['seed']} | {caught['violation'].partition(':')[0]} |"
        lines.append(f"| {name} | {told}")
    return "\n".join(lines)
