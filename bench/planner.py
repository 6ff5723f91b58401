"""How long a batch of a million recordings takes to plan, and in how much memory: `make bench-planner`.

The planner's own code runs over a generated listing: its pages, its rows, its notes, its shards. In the place of S3 and
DynamoDB stand clients that answer at once, from arithmetic and from files. So what is measured is the function's own time, on a
processor; waiting for AWS comes on top.
Each size runs in a process of its own, three times.
"""

import argparse
import io
import json
import multiprocessing
import platform
import random
import resource
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from batch_runs.run import Run
from batch_runs.run_rows import RunRows
from plan_batch.paging import Cursor, Paging
from plan_batch.recordings import Recordings
from plan_batch.settings import Settings
from plan_batch.sharing import Sharing
from transcription_jobs.job_table import JobTable
from whisperstack_contract.batch_limits import BatchLimits
from whisperstack_contract.job_times import JobTimes
from whisperstack_contract.limits import BATCH_PAYLOAD_MIB, MIB
from whisperstack_contract.options import PartialOptions

RESULT: Final = Path(__file__).resolve().parent / "results" / "planner.json"
SIZES: Final = (10_000, 100_000, 1_000_000)
ROUNDS: Final = 3
_PAGE: Final = 1000  # as many as S3 lists in one answer

# A recording of median 3 MB, about three minutes at 128 kbit/s; one in a hundred has over 50 MB.
_MEDIAN_BYTES: Final = 3_000_000
_SIGMA: Final = 1.2
_LARGEST: Final = BATCH_PAYLOAD_MIB * MIB
_RUN: Final = Run("batch/bench/", "arn:aws:states:us-east-1:123456789012:execution:batch:bench")


@dataclass(frozen=True)
class Figures:
    """page_seconds, shard_seconds: on a processor. peak_mb: of the process's memory.

    spread: by how much the largest shard exceeds the smallest of its kind, as a share of their mean; of the worst kind.
    """

    recordings: int
    page_seconds: float
    shard_seconds: float
    peak_mb: float
    shards: int
    spread: float


class GeneratedBucket:
    """S3 with a listing of `count` recordings; what is put lies in a folder. One in a hundred says another language."""

    def __init__(self, count: int, folder: Path) -> None:
        self._count, self._folder = count, folder

    def list_object_versions(self, *, KeyMarker: str = "", **_others: Any) -> dict[str, Any]:  # noqa: N803  # boto3's name
        start = int(KeyMarker.rsplit("/", 1)[-1].removesuffix(".mp3")) + 1 if KeyMarker else 0
        numbers = range(start, min(start + _PAGE, self._count))
        sizes = random.Random(start)  # noqa: S311  # the same in every run, not secret
        versions = [
            {"Key": f"batch/bench/{number:09d}.mp3", "VersionId": f"v{number}", "IsLatest": True, "Size": _size(sizes)}
            for number in numbers
        ]
        more = numbers.stop < self._count
        return {"Versions": versions, "IsTruncated": more, "NextKeyMarker": versions[-1]["Key"], "NextVersionIdMarker": "v"}

    def head_object(self, *, Key: str, **_others: Any) -> dict[str, Any]:  # noqa: N803
        spoken = {"whisperstack-language": "de"} if Key.endswith("00.mp3") else {}
        return {"ContentType": "audio/mpeg", "Metadata": spoken}

    def copy_object(self, **_parameters: Any) -> dict[str, Any]:
        return {}

    def put_object(self, *, Key: str, Body: bytes | IO[bytes], **_others: Any) -> dict[str, Any]:  # noqa: N803
        path = self._folder / Key
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            shutil.copyfileobj(io.BytesIO(Body) if isinstance(Body, bytes) else Body, file)
        return {}

    def get_object(self, *, Key: str, **_others: Any) -> dict[str, Any]:  # noqa: N803
        return {"Body": io.BytesIO((self._folder / Key).read_bytes())}

    def get_paginator(self, _operation: str) -> "GeneratedBucket":
        return self

    def paginate(self, *, Prefix: str, **_others: Any) -> Iterator[dict[str, Any]]:  # noqa: N803
        paths = sorted(path for path in self._folder.rglob("*") if path.is_file())
        found = [str(path.relative_to(self._folder)) for path in paths]
        yield {"Contents": [{"Key": key} for key in found if key.startswith(Prefix)]}


class EmptyTable:
    """DynamoDB without a row, that takes every row."""

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        return {"Responses": dict.fromkeys(RequestItems, ())}

    def put_item(self, **_parameters: Any) -> dict[str, Any]:
        return {}

    def update_item(self, **_parameters: Any) -> dict[str, Any]:
        return {"Attributes": {}}

    class exceptions:  # noqa: N801  # boto3's name
        class ConditionalCheckFailedException(Exception):  # noqa: N818
            """Never raised."""


def plan(count: int, folder: Path) -> Figures:
    """Plans a batch of that many recordings, and says what it took."""
    s3: Any = GeneratedBucket(count, folder)
    table: Any = EmptyTable()
    settings = _settings()
    jobs = JobTable(table, "jobs", settings.times)
    nobody: Any = None  # nothing is refused, so nothing is told
    paging = Paging(Recordings(settings, jobs, nobody, s3), jobs, RunRows(jobs), s3, settings.audio_bucket)
    started = time.process_time()
    cursor: Cursor | None = Cursor()
    found: Counter[str] = Counter()
    while cursor:
        cursor = paging.go_on(_RUN, cursor, found, lambda: True)
    paged = time.process_time()
    shared = Sharing(settings, RunRows(jobs), s3).share_out(_RUN, 1)
    ended = time.process_time()
    if (found["planned"], shared["files"]) != (count, count):
        raise RuntimeError(f"{found['planned']} of {count} recordings were planned, and {shared['files']} shared out")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    items = json.loads((folder / shared["shards_key"]).read_bytes())
    return Figures(count, paged - started, ended - paged, peak, len(items), _spread(items))


def _settings() -> Settings:
    return Settings(
        job_table="jobs",
        audio_bucket="audio",
        transcripts_bucket="transcripts",
        announcements_topic="",
        default_options=PartialOptions(),
        prompts_from_metadata=False,
        model_digest="d" * 64,
        times=JobTimes(),
        limits=BatchLimits(concurrency=4),
        job_prefix="whisperstack-bench",
        leftovers=True,
    )


def _size(sizes: random.Random) -> int:
    return min(max(int(_MEDIAN_BYTES * sizes.lognormvariate(0, _SIGMA)), 1000), _LARGEST)


def _spread(items: Sequence[dict[str, Any]]) -> float:
    kinds: dict[str, list[int]] = {}
    for item in items:
        kinds.setdefault(json.dumps([item["environment"], item["concurrency"]]), []).append(item["bytes"])
    several = [sizes for sizes in kinds.values() if len(sizes) > 1]
    return max(((max(sizes) - min(sizes)) / statistics.mean(sizes) for sizes in several), default=0.0)


def measure(count: int) -> Figures:
    """In a process of its own, whose memory is not counted with ours."""
    folder = Path(tempfile.mkdtemp())
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(plan, (count, folder))
    finally:
        shutil.rmtree(folder)


def table() -> str:
    """The figures as docs/batch.md shows them."""
    result: Any = json.loads(RESULT.read_text())
    rows = [
        f"| {run['recordings']:,} | {run['runs']} | {run['page_seconds']:.1f} | {run['shard_seconds']:.1f} | "
        f"{run['peak_mb']:.0f} | {run['shards']:,} | {run['spread']:.2%} |"
        for run in result["medians"]
    ]
    head = [
        f"Medians on {result['machine']}, Python {result['python']}, {result['date']}; "
        "seconds on a processor, without waiting for AWS.",
        "",
        "| recordings | runs | planning, s | sharing out, s | peak memory, MB | jobs | largest over smallest of a kind |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of which medians are taken")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="recordings in a batch")
    arguments = parser.parse_args()
    runs = {}
    for size in arguments.sizes:
        runs[size] = [measure(size) for _ in range(arguments.rounds)]
        print(*runs[size], sep="\n")  # noqa: T201
    write(list(runs.values()))


def write(runs: Sequence[Sequence[Figures]]) -> None:
    """runs: of each size, those of which the median is taken."""
    each = [[asdict(run) for run in rounds] for rounds in runs]
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {multiprocessing.cpu_count()} cores",
        "python": platform.python_version(),
        "medians": [
            {"runs": len(rounds), **{name: statistics.median(run[name] for run in rounds) for name in rounds[0]}}
            for rounds in each
        ],
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
