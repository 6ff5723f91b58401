"""How long a worker takes until it can answer, beside openai-whisper's own load of the same weights.

    python -m bench.startup

From the process's start to a loaded model, and the first request against the second. Each start is a process of its own;
engines take turns, and medians are compared. Results: bench/results/startup.json, and a table in docs/performance.md.
"""

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import typer

from bench.models import PROJECT, random_archive, unpacked_archive
from bench.speed import processor_name
from model_build.progress import TerminalProgress
from whisperstack_contract.variables import EXACT, FAST, MODEL_DIGEST, NUMERICS

RESULTS: Final = Path(__file__).resolve().parent / "results" / "startup.json"

_ORIGINAL: Final = "openai-whisper"
# What the exact Hugging Face engine cannot start without, and nothing of ours in it.
_IMPORTS: Final = "import transformers"
_HUGGINGFACE: Final = "huggingface"
_ENGINES: Final = (_ORIGINAL, "pytorch", FAST, _HUGGINGFACE, f"{_HUGGINGFACE}-{FAST}")
_RECORDING: Final = PROJECT / "samples" / "jfk.mp3"
_THREADS: Final = "2"

# Of openai-whisper's load, and of a warm request.
_MOST_LOAD_RATIO: Final = 1.5
_MOST_FIRST_RATIO: Final = 1.5

app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def main(
    model: Annotated[list[str], typer.Option(help="Whisper sizes that a package holds.")] = ["tiny.en", "base"],  # noqa: B006
    load: Annotated[list[str], typer.Option(help="Sizes to load only, with random weights.")] = ["large-v3-turbo"],  # noqa: B006
    runs: Annotated[int, typer.Option(min=3, help="Starts of each engine.")] = 5,
) -> None:
    rows = []
    with TerminalProgress() as progress:
        for size in (*model, *load):
            archive = unpacked_archive if size in model else random_archive
            folders = {engine: archive(engine, size, progress) for engine in ("pytorch", _HUGGINGFACE)}
            taken: dict[str, list[list[float]]] = defaultdict(list)
            for number in range(runs):
                progress.stage(f"{size}: start {number + 1} of {runs} of each engine")
                for engine in (*_ENGINES, _IMPORTS):
                    folder = folders[_HUGGINGFACE if engine.startswith(_HUGGINGFACE) else "pytorch"]
                    taken[engine].append(start(engine, folder, answers=size in model and engine != _IMPORTS))
            rows += [
                {
                    "model": size,
                    "engine": engine,
                    **dict(zip(("load", "first", "warm"), map(median, zip(*found, strict=True)), strict=False)),
                }
                for engine, found in taken.items()
            ]
    RESULTS.parent.mkdir(exist_ok=True)
    document = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"processor": processor_name(), "cores": os.cpu_count()},
        "versions": {name: version(name) for name in ("openai-whisper", "torch", "transformers")},
        "runs": runs,
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    typer.echo(table(read_results()))


def start(engine: str, folder: Path, *, answers: bool) -> list[float]:
    """Seconds until the model is loaded and, if it answers, of the first request and of the second."""
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ},
        "PYTHONPATH": os.pathsep.join(str(PROJECT / root) for root in (".", "contract", "inference")),
        "OMP_NUM_THREADS": _THREADS,
        MODEL_DIGEST: "0" * 64,
        NUMERICS: FAST if engine.endswith(FAST) else EXACT,
    }
    recording = str(_RECORDING) if answers else ""
    command = [sys.executable, "-m", "bench.startup_worker", engine, str(folder), recording, str(time.monotonic())]
    run = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        typer.echo(run.stderr, err=True)
        raise typer.Exit(1)
    return [float(value) for value in run.stdout.split()]


def read_results() -> dict[str, Any]:
    return json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}


def table(results: dict[str, Any]) -> str:
    if not results:
        return "Not measured since the last change."
    original = {row["model"]: row["load"] for row in results["rows"] if row["engine"] == _ORIGINAL}
    machine = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    where = f"{machine['cores']} cores of {machine['processor']}, {versions}"
    lines = [
        f"{results['date']}, {where}; medians of {results['runs']} starts:",
        "",
        "| model | engine | load, s | of openai-whisper's | first request, s | of a warm one | target |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        ratios = [row["load"] / original[row["model"]]] + ([row["first"] / row["warm"]] if "first" in row else [])
        limits = (_MOST_LOAD_RATIO, _MOST_FIRST_RATIO)
        holds = all(ratio <= limit for ratio, limit in zip(ratios, limits, strict=False))
        verdict = "" if row["engine"] in (_ORIGINAL, _IMPORTS) else "holds" if holds else "does not hold"
        first = (f"{row['first']:.2f}", f"{ratios[1]:.2f}") if "first" in row else ("", "")
        cells = (row["model"], row["engine"], f"{row['load']:.2f}", f"{ratios[0]:.2f}", *first, verdict)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(app())
