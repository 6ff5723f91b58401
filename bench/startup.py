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
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import typer

from bench.models import PROJECT, unpacked_archive
from model_build.progress import TerminalProgress
from whisperstack_contract.variables import EXACT, FAST, MODEL_DIGEST, NUMERICS

RESULTS: Final = Path(__file__).resolve().parent / "results" / "startup.json"

_ORIGINAL: Final = "openai-whisper"
_ENGINES: Final = (_ORIGINAL, "pytorch", FAST, "huggingface")
_RECORDING: Final = PROJECT / "samples" / "jfk.mp3"
_THREADS: Final = "2"

# Of openai-whisper's load, and of a warm request.
_MOST_LOAD_RATIO: Final = 1.5
_MOST_FIRST_RATIO: Final = 1.5

app = typer.Typer(add_completion=False, help=__doc__)


@app.command()
def main(
    model: Annotated[list[str], typer.Option(help="Whisper sizes that a package holds.")] = ["tiny.en", "base"],  # noqa: B006
    runs: Annotated[int, typer.Option(min=3, help="Starts of each engine.")] = 5,
) -> None:
    rows = []
    with TerminalProgress() as progress:
        for size in model:
            folders = {engine: unpacked_archive(engine, size, progress) for engine in ("pytorch", "huggingface")}
            taken: dict[str, list[list[float]]] = defaultdict(list)
            for number in range(runs):
                progress.stage(f"{size}: start {number + 1} of {runs} of each engine")
                for engine in _ENGINES:
                    folder = folders["huggingface" if engine == "huggingface" else "pytorch"]
                    taken[engine].append(start(engine, folder))
            rows += [
                {
                    "model": size,
                    "engine": engine,
                    **dict(zip(("load", "first", "warm"), map(median, zip(*found, strict=True)), strict=True)),
                }
                for engine, found in taken.items()
            ]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"runs": runs, "rows": rows}, indent=1) + "\n")
    typer.echo(table(read_results()))


def start(engine: str, folder: Path) -> list[float]:
    """Seconds until the model is loaded, of the first request, and of the second."""
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ},
        "PYTHONPATH": os.pathsep.join(str(PROJECT / root) for root in (".", "contract", "inference")),
        "OMP_NUM_THREADS": _THREADS,
        MODEL_DIGEST: "0" * 64,
        NUMERICS: FAST if engine == FAST else EXACT,
    }
    command = [sys.executable, "-m", "bench.startup_worker", engine, str(folder), str(_RECORDING), str(time.monotonic())]
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
    lines = [
        "| model | engine | load, s | of openai-whisper's | first request, s | of a warm one | target |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        load, first = row["load"] / original[row["model"]], row["first"] / row["warm"]
        holds = "holds" if load <= _MOST_LOAD_RATIO and first <= _MOST_FIRST_RATIO else "does not hold"
        lines.append(
            f"| {row['model']} | {row['engine']} | {row['load']:.2f} | {load:.2f} | {row['first']:.2f} | {first:.2f} | "
            f"{'' if row['engine'] == _ORIGINAL else holds} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(app())
