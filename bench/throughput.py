"""How many requests a machine answers, by workers and clients, and what short recordings wait for behind a long one.

    python -m bench.throughput

Workers are processes, as in the serving stacks, which share the processor's cores; each takes one request at a time, in the
order of their arrival. A client asks again as soon as it is answered. Results: bench/results/throughput.json, and tables in
docs/performance.md.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import numpy as np
import psutil
import typer

from bench.models import PROJECT, settings, unpacked_archive
from bench.peers import Weights
from bench.recordings import SAMPLE_RATE_HZ
from bench.speed import Worker, processor_name, start_worker
from model_build.errors import BuildError
from model_build.progress import TerminalProgress
from whisper_serving.audio import decode

RESULTS: Final = PROJECT / "bench" / "results" / "throughput.json"

_RECORDING: Final = PROJECT / "samples" / "jfk.mp3"
_LONG_SECONDS: Final = 300.0
# Behind a long recording each turn of the clients takes seconds.
_LEAST_BEHIND: Final = 8
# So that it is heard as twenty sentences: one window with a sentence twice would be suspected and heard again.
_PAUSE_SECONDS: Final = 4.0
_WORKERS: Final = (1, 2, 4)
_CLIENTS: Final = (1, 4, 16)

app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class Cell:
    """requests_per_second: of short recordings. p50, p95: seconds from asking to the answer, waiting included.

    behind_p50, behind_longest: the same while another client has a recording of five minutes transcribed, again and again.
    peak_mb: of all workers together.
    """

    workers: int
    clients: int
    requests_per_second: float
    p50: float
    p95: float
    behind_p50: float
    behind_longest: float
    peak_mb: float


class Pool:
    """Workers behind one queue, as in a serving stack: first come, first served."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._idle = list(workers)
        self._turns = threading.Condition()
        self._waiting: list[object] = []

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        ticket = object()
        with self._turns:
            self._waiting.append(ticket)
            self._turns.wait_for(lambda: bool(self._idle) and self._waiting[0] is ticket)
            self._waiting.pop(0)
            chosen = self._idle.pop()
            self._turns.notify_all()
        try:
            yield chosen
        finally:
            with self._turns:
                self._idle.append(chosen)
                self._turns.notify_all()


@app.command(help=__doc__)
def main(
    model: Annotated[str, typer.Option(help="Whisper size that a package holds.")] = "tiny.en",
    requests: Annotated[int, typer.Option(min=16, help="Short recordings in each run.")] = 32,
    runs: Annotated[int, typer.Option(min=3, help="Runs of each number of workers and clients; medians are told.")] = 3,
) -> None:
    samples = decode(_RECORDING.read_bytes(), settings()).samples
    with ExitStack() as stack, TerminalProgress() as progress:
        try:
            folder = unpacked_archive("pytorch", model, progress)
        except BuildError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error
        temporary = Path(stack.enter_context(TemporaryDirectory(prefix="whisper-bench-")))
        short, long = temporary / "short.npy", temporary / "long.npy"
        np.save(short, samples)
        sentence = np.concatenate([samples, np.zeros(round(_PAUSE_SECONDS * SAMPLE_RATE_HZ), np.float32)])
        np.save(long, np.tile(sentence, round(_LONG_SECONDS / (len(sentence) / SAMPLE_RATE_HZ))))
        cells = []
        for n_workers in _WORKERS:
            progress.stage(f"{n_workers} workers: start")
            with started(folder, n_workers) as workers:
                for n_clients in _CLIENTS:
                    progress.stage(f"{n_workers} workers, {n_clients} clients")
                    cells.append(_cell(workers, n_clients, short, long, requests, runs))
    document = {
        "date": datetime.now(UTC).date().isoformat(),
        "model": model,
        "requests": requests,
        "runs": runs,
        "machine": {"processor": processor_name(), "cores": os.cpu_count()},
        "versions": {"torch": version("torch")},
        "cells": [asdict(cell) for cell in cells],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    typer.echo(table(document))


@contextmanager
def started(model_folder: Path, count: int) -> Iterator[list[Worker]]:
    """Workers that share the cores, warmed up; ended with the block."""
    weights = Weights(model_folder, model_folder, model_folder)  # this engine reads the first only
    threads = max(1, (os.cpu_count() or 1) // count)
    with ExitStack() as stack:
        yield [start_worker("fast", weights, threads, "cpu", stack) for _ in range(count)]


def _cell(workers: Sequence[Worker], n_clients: int, short: Path, long: Path, requests: int, runs: int) -> Cell:
    plain, behind = [], []
    ask_all(workers, n_clients, short, len(workers))  # first requests are slower
    for _ in range(runs):
        plain.append(ask_all(workers, n_clients, short, requests))
        behind.append(ask_all(workers, n_clients, short, max(_LEAST_BEHIND, n_clients), long))
    peak = sum(psutil.Process(worker.process.pid).memory_info().rss for worker in workers)
    return Cell(
        len(workers),
        n_clients,
        round(median(requests / seconds for seconds, _ in plain), 2),
        round(median(median(waits) for _, waits in plain), 3),
        round(median(quantiles(waits, n=20)[-1] for _, waits in plain), 3),
        round(median(median(waits) for _, waits in behind), 3),
        round(median(max(waits) for _, waits in behind), 3),
        round(peak / 1e6),
    )


def ask_all(
    workers: Sequence[Worker], n_clients: int, recording: Path, requests: int, long: Path | None = None
) -> tuple[float, list[float]]:
    """(seconds in all, seconds of each request). long: what one more client asks for until the others are done."""
    pool = Pool(workers)
    remaining = iter(range(requests))
    waits: list[float] = []
    done = threading.Event()
    first_is_taken = threading.Event()

    def ask(path: Path) -> float:
        began = time.perf_counter()
        with pool.worker() as worker:
            first_is_taken.set()
            worker.ask({"samples": str(path), "language": "en"})
        return time.perf_counter() - began

    def client() -> None:
        # Next of an iterator over a range is one step of the interpreter, so clients share it without a lock.
        for _ in remaining:
            waits.append(ask(recording))

    def long_client(path: Path) -> None:
        while not done.is_set():
            ask(path)

    threads = [threading.Thread(target=client) for _ in range(n_clients)]
    other = threading.Thread(target=long_client, args=(long,)) if long else None
    if other:
        other.start()
        first_is_taken.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    done.set()
    if other:
        other.join()
    return seconds, waits


def read_results() -> dict[str, Any]:
    return json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}


def table(results: dict[str, Any]) -> str:
    if not results:
        return "Not measured since the last change."
    machine, versions = results["machine"], results["versions"]
    lines = [
        f"{results['date']}, {machine['cores']} cores of {machine['processor']}, torch {versions['torch']}, "
        f"{results['model']}, medians of {results['runs']} runs of {results['requests']} requests:",
        "",
        "| workers | clients | requests a second | p50, s | p95, s | p50 behind five minutes | longest | all workers, MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for cell in results["cells"]:
        waits = " | ".join(f"{cell[name]:.2f}" for name in ("p50", "p95", "behind_p50", "behind_longest"))
        pace = f"{cell['requests_per_second']:.2f}"
        lines.append(f"| {cell['workers']} | {cell['clients']} | {pace} | {waits} | {cell['peak_mb']:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(app())
