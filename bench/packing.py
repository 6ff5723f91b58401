"""How long a model artefact takes to build, and how much memory, beside `tar czf` of the same files: `make bench-packing`.

The checkpoint has random weights of the dimensions of large-v3-turbo, in float16, 1.6 GB: random numbers compress as trained
ones do. What is measured is all that the command does: reading the checkpoint, checking it, writing the engine's files, hashing
them and packing them. `tar czf` packs what lies in the finished archive, and nothing else. Both run in turn, three times.
"""

import json
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

PROJECT: Final = Path(__file__).resolve().parents[1]
RESULT: Final = PROJECT / "bench" / "results" / "packing.json"
PAGE: Final = PROJECT / "docs" / "packing.md"

MODEL: Final = "large-v3-turbo"
ENGINES: Final = ("pytorch", "huggingface")
ROUNDS: Final = 3
# Of trained weights: most lie within 0.1 of zero.
_SPREAD: Final = 0.02


@dataclass(frozen=True)
class Run:
    """peak_mb: the most memory that the process had at once, mapped files included."""

    seconds: float
    peak_mb: float


def measure(command: Sequence[str]) -> Run:
    """Raises CalledProcessError where the command fails."""
    os.sync()
    started = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=PROJECT) as process:
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Run(seconds, usage.ru_maxrss / 1024)


def write_checkpoint(path: Path, model: str = MODEL) -> None:
    """A checkpoint of random weights in a model's dimensions; the same on every machine."""
    import torch

    from model_build.catalogue import SIZES
    from whisperstack_contract.weight_shapes import expected_shapes

    dims = next(size.dims for size in SIZES if size.name == model)
    torch.manual_seed(0)
    state = {name: (torch.randn(shape) * _SPREAD).half() for name, shape in expected_shapes(dims).items()}
    torch.save({"dims": dims, "model_state_dict": state}, path)


def compare(engine: str, checkpoint: Path, folder: Path) -> dict[str, Any]:
    """Medians of `build` and of `tar czf`, measured in turn."""
    build = [sys.executable, "-m", "model_build", "build", "--engine", engine, "--model", MODEL]
    build += ["--source", "checkpoint", "--path", str(checkpoint), "--output-root", str(folder / "built")]
    content, packed = folder / "content", folder / "packed.tar.gz"
    runs: dict[str, list[Run]] = {"model_build": [], "tar czf": []}
    for _ in range(ROUNDS):
        shutil.rmtree(folder / "built", ignore_errors=True)
        runs["model_build"].append(measure(build))
        archive = folder / "built" / engine / MODEL / "model.tar.gz"
        if not content.exists():
            with tarfile.open(archive) as tar:
                tar.extractall(content, filter="data")
        runs["tar czf"].append(measure(["tar", "czf", str(packed), "-C", str(content), "."]))
    medians = {
        name: Run(statistics.median(run.seconds for run in found), max(run.peak_mb for run in found))
        for name, found in runs.items()
    }
    sizes = {"model_build": archive.stat().st_size, "tar czf": packed.stat().st_size}
    shutil.rmtree(content)
    packed.unlink()
    return {
        "engine": engine,
        "ratio": medians["model_build"].seconds / medians["tar czf"].seconds,
        "programs": {name: {**asdict(median), "archive_bytes": sizes[name]} for name, median in medians.items()},
        "runs": {name: [asdict(run) for run in found] for name, found in runs.items()},
    }


def _machine() -> dict[str, Any]:
    names = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"processor": names[0] if names else "", "cores": os.cpu_count(), "memory_gb": round(memory / 1024**3)}


def _versions() -> dict[str, str]:
    told = {"Python": platform.python_version(), "zlib": zlib.ZLIB_RUNTIME_VERSION}
    told |= {name: metadata.version(name) for name in ("torch", "transformers", "safetensors")}
    for program in ("tar", "gzip"):
        shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        told[program] = shown.stdout.splitlines()[0]
    return told


def to_markdown(result: dict[str, Any]) -> str:
    machine = result["machine"]
    lines = [
        "# Packing",
        "",
        "<!-- Written by `make bench-packing`. -->",
        "",
        f"`python -m model_build build` beside `tar czf` in the same run, {result['date']}.",
        f"The checkpoint has {result['checkpoint_bytes'] / 1e9:.1f} GB: random float16 weights of the dimensions of {MODEL}.",
        f"Times are medians of {ROUNDS}; memory is the most of any run, mapped files included.",
        "`tar czf` is given what lies in the finished archive; `build` also reads and checks the checkpoint, writes the",
        "engine's files and hashes them.",
        "",
        "| engine | program | seconds | peak memory | archive | time of `tar czf` |",
        "|---|---|---|---|---|---|",
    ]
    for found in result["results"]:
        for name, program in found["programs"].items():
            ratio = f"{found['ratio']:.2f} ×" if name == "model_build" else "1 ×"
            size, peak = f"{program['archive_bytes'] / 1e6:,.0f} MB", f"{program['peak_mb']:,.0f} MB"
            lines.append(f"| {found['engine']} | `{name}` | {program['seconds']:.1f} | {peak} | {size} | {ratio} |")
    told = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    lines += [
        "",
        f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, shared with other work "
        f"(load {result['load_before']:.1f} before,",
        f"{result['load_after']:.1f} after). {told}.",
        "",
        "[Decision 30](decisions/0030-weights-are-stored-not-deflated.md) says why: the weights are not compressed.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="whisperstack-packing-") as name:
        folder = Path(name)
        checkpoint = folder / "turbo.pt"
        print("Writing a checkpoint of random weights")  # noqa: T201
        # In a process of its own: the peak that the kernel tells of a child begins with its parent's.
        writer = multiprocessing.get_context("spawn").Process(target=write_checkpoint, args=(checkpoint,))
        writer.start()
        writer.join()
        if writer.exitcode:
            raise SystemExit(f"writing the checkpoint failed with exit code {writer.exitcode}")
        results = []
        for engine in ENGINES:
            print(f"Measuring {engine}")  # noqa: T201
            results.append(compare(engine, checkpoint, folder))
        result = {
            "date": datetime.now(UTC).date().isoformat(),
            "checkpoint_bytes": checkpoint.stat().st_size,
            "machine": _machine(),
            "versions": _versions(),
            "load_before": load_before,
            "load_after": os.getloadavg()[0],
            "results": results,
        }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    PAGE.write_text(to_markdown(result))
    print(PAGE.read_text())  # noqa: T201


if __name__ == "__main__":
    main()
