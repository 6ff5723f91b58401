"""Speed, accuracy, memory and start of our engines beside their peers, on the same weights.

Each engine runs in a process of its own. Their turns at a recording alternate, so that whatever else the machine does meets
all of them, and medians are compared.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from bench.interruption import end_on_sigterm
from bench.peers import ENGINES, FLOOR, Weights
from bench.recordings import ManifestError, Recording, chosen, count_errors, read_manifest, repeated, understood
from bench.targets import Verdict, accuracy_verdicts, memory_verdicts, speed_verdicts
from bench.weights import PROJECT, prepare_weights
from infra.prices import instance_price, read_prices
from model_build.errors import BuildError
from model_build.progress import TerminalProgress

_PACKAGES: Final = ("torch", "openai-whisper", "transformers", "faster-whisper", "ctranslate2", "numpy")

# What else the machine does for a moment is a larger part of a short recording's time.
_SHORT_SECONDS: Final = 30.0
_SHORT_RUNS: Final = 5

app = typer.Typer(add_completion=False)


@dataclass
class Worker:
    """An engine in its process. load_seconds: from the process's start until the model is loaded."""

    engine: str
    process: subprocess.Popen[str]
    load_seconds: float = 0.0
    peak_bytes: int = 0
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    texts: dict[str, str] = field(default_factory=dict)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.process.stdin is None or self.process.stdout is None:
            raise BuildError(f"{self.engine} has no pipes")
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise BuildError(f"{self.engine} ended with {self.process.wait()}; its messages stand above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def transcribe(self, recording: Recording, path: Path) -> None:
        answer = self.ask({"samples": str(path), "language": recording.language})
        self.seconds[recording.name].append(answer["seconds"])
        self.texts[recording.name] = answer["text"]
        self.peak_bytes = max(self.peak_bytes, answer["peak_bytes"])


@app.command(help=__doc__)
def main(
    manifest: Annotated[Path, typer.Argument(help='JSON list of {"id", "file", "language", "reference"}; files beside it.')],
    output: Annotated[Path, typer.Option(help="Folder for the results: speed-MODEL.json and plots.")] = PROJECT / "build/bench",
    model: Annotated[str, typer.Option(help="Whisper size that a package holds.")] = "tiny.en",
    engine: Annotated[
        list[str] | None, typer.Option(help=f"Engines to measure, of: {', '.join(ENGINES)}. All unless given.")
    ] = None,
    length: Annotated[
        list[float] | None, typer.Option(min=1, help="Also so many seconds, made of the manifest's recordings.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Ids to measure by themselves; all unless given.")] = None,
    runs: Annotated[
        int, typer.Option(min=1, help="How often each recording is measured; under 30 s, five times as often.")
    ] = 3,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    instance: Annotated[
        str | None, typer.Option(help="SageMaker's name of this machine, to tell dollars per audio hour.")
    ] = None,
    price: Annotated[float | None, typer.Option(help="USD per hour of it, instead of infra/prices.json's.")] = None,
) -> None:
    end_on_sigterm()
    console = Console()
    names = engine or list(ENGINES)
    _require_device(device, console)
    hourly = None if instance is None else instance_price(instance, price)
    if instance is not None and hourly is None:
        known = ", ".join(read_prices().instance_hour)
        console.print(f"--instance {instance} has no price in infra/prices.json, which knows {known}; say it with --price")
        raise typer.Exit(2)
    if unknown := sorted(set(names) - set(ENGINES)):
        console.print(f"--engine {unknown[0]} is not known; choose from: {', '.join(ENGINES)}")
        raise typer.Exit(2)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        console.print(f"--output {output} cannot be made ({error.strerror}); name another folder")
        raise typer.Exit(2) from error
    try:
        recordings, left_out = understood(read_manifest(manifest), model)
        if left_out:
            console.print(f"{model} knows English only; left out: {', '.join(left_out)}")
        english = [recording for recording in recordings if recording.language == "en"]
        recordings = [*chosen(recordings, only), *(repeated(english, seconds) for seconds in length or [])]
        workers = measure(names, prepare_weights(model, TerminalProgress()), recordings, runs, threads, device, console)
    except (ManifestError, BuildError) as error:
        console.print(str(error))
        raise typer.Exit(1) from error
    report = results(
        workers,
        recordings,
        {"model": model, "threads": threads, "device": device, "runs": runs, "short_runs": runs * _SHORT_RUNS},
    )
    if instance is not None and hourly is not None:
        add_costs(report, instance, hourly)
    (output / f"speed-{model}.json").write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")
    # To look at, not to keep: what was said is the recordings'.
    said = {worker.engine: worker.texts for worker in workers}
    (PROJECT / "build" / "bench" / f"texts-{model}.json").write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n")
    show(report, console)
    from bench.plots import draw

    draw(report, output)


def _require_device(device: str, console: Console) -> None:
    import torch

    if device not in ("cpu", "cuda"):
        console.print(f"--device {device} is not known; choose cpu or cuda")
        raise typer.Exit(2)
    if device == "cuda" and not torch.cuda.is_available():
        console.print(f"--device cuda needs a GPU, and torch {torch.__version__} can use none on this machine; leave it out")
        raise typer.Exit(2)


def measure(
    names: Sequence[str],
    weights: Weights,
    recordings: Sequence[Recording],
    runs: int,
    threads: int,
    device: str,
    console: Console,
) -> list[Worker]:
    """Loads the engines one after another, then lets them take turns at each recording."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="whisper-bench-")))
        workers = [start_worker(name, weights, threads, device, stack) for name in names]
        for recording in recordings:
            path = folder / "samples.npy"
            np.save(path, recording.samples)
            count = runs * (_SHORT_RUNS if recording.seconds < _SHORT_SECONDS else 1)
            for number in range(count):
                console.print(f"{recording.name}: {recording.seconds:.0f} s of audio, run {number + 1} of {count}")
                for worker in workers:
                    worker.transcribe(recording, path)
        return workers


def start_worker(engine: str, weights: Weights, threads: int, device: str, stack: ExitStack) -> Worker:
    """An engine that has loaded its model. stack: ends its process. Raises BuildError where it does not start."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(str(PROJECT / root) for root in ("", "contract", "inference"))
    command = [sys.executable, "-W", "ignore", "-m", "bench.worker"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=PROJECT)
    stack.callback(process.wait)
    stack.callback(process.kill)
    worker = Worker(engine, process)
    order = {"weights": {name: str(path) for name, path in vars(weights).items()}, "threads": threads, "device": device}
    worker.load_seconds = worker.ask({**order, "engine": engine})["load_seconds"]
    return worker


def results(workers: Sequence[Worker], recordings: Sequence[Recording], run: dict[str, Any]) -> dict[str, Any]:
    from whisper.tokenizer import get_tokenizer

    tokenizer = get_tokenizer(multilingual=not run["model"].endswith(".en"))
    engines: dict[str, Any] = {}
    for worker in workers:
        errors: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for recording in recordings:
            wrong, said = count_errors(recording, worker.texts[recording.name])
            errors[recording.language][0] += wrong
            errors[recording.language][1] += said
        engines[worker.engine] = {
            "load_seconds": worker.load_seconds,
            "peak_bytes": worker.peak_bytes,
            "first_seconds": worker.seconds[recordings[0].name][0],
            "seconds": {name: median(values) for name, values in worker.seconds.items()},
            "word_error_rate": {} if worker.engine == FLOOR else _rates(errors),
            "tokens": sum(len(tokenizer.encode(text)) for text in worker.texts.values()),
        }
    return {
        **run,
        "date": datetime.now(UTC).date().isoformat(),
        "audio_seconds": {recording.name: recording.seconds for recording in recordings},
        "engines": engines,
        "targets": [verdict._asdict() for verdict in _verdicts(engines, recordings)],
        "versions": {name: metadata.version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        "machine": {"processor": processor_name(), "cores": os.cpu_count(), "load": os.getloadavg()},
    }


def add_costs(report: dict[str, Any], instance: str, usd_per_hour: float) -> None:
    """What an hour of sound costs on an instance that is never idle, by the longest recording."""
    longest, seconds = max(report["audio_seconds"].items(), key=lambda named: named[1])
    report["instance"] = {"type": instance, "usd_per_hour": usd_per_hour}
    for found in report["engines"].values():
        found["usd_per_audio_hour"] = usd_per_hour * found["seconds"][longest] / seconds


def _rates(errors: Mapping[str, Sequence[int]]) -> dict[str, float]:
    return {language: 100 * wrong / said for language, (wrong, said) in errors.items()}


def show(report: dict[str, Any], console: Console) -> None:
    names = list(report["audio_seconds"])
    costs = ("$ an\naudio hour",) if "instance" in report else ()
    times_of = (f"{name}\ns (RTF)" for name in names)
    table = Table("engine", "load s", "peak MB", "WER %", *times_of, *costs, title=report["model"])
    for name, found in report["engines"].items():
        rates = ", ".join(f"{language} {rate:.1f}" for language, rate in found["word_error_rate"].items())
        times = [
            f"{found['seconds'][recording]:.2f} ({found['seconds'][recording] / report['audio_seconds'][recording]:.3f})"
            for recording in names
        ]
        dollars = [f"{found['usd_per_audio_hour']:.4f}"] if costs else []
        table.add_row(name, f"{found['load_seconds']:.1f}", f"{found['peak_bytes'] / 1e6:.0f}", rates, *times, *dollars)
    console.print(table)
    if not report["targets"]:
        console.print("No target: those are of 'fast' against other engines.")
        return
    if report["machine"]["load"][0] > 1.5 * (report["machine"]["cores"] or 1):
        console.print(
            "The machine is busy with other work: threads wait for each other, and the times are not to be relied on."
        )
    targets = Table("target", "found", "wanted", "")
    for target in report["targets"]:
        targets.add_row(
            target["what"], f"{target['found']:.2f}", f"{target['target']:g}", "holds" if target["holds"] else "does not hold"
        )
    console.print(targets)


def _verdicts(engines: dict[str, Any], recordings: Sequence[Recording]) -> list[Verdict]:
    verdicts: list[Verdict] = []
    for recording in recordings:
        seconds = {name: found["seconds"][recording.name] for name, found in engines.items()}
        verdicts += speed_verdicts(recording.name, recording.seconds, seconds)
    verdicts += accuracy_verdicts({name: found["word_error_rate"] for name, found in engines.items()})
    return verdicts + memory_verdicts({name: found["peak_bytes"] for name, found in engines.items()})


def processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    app()
