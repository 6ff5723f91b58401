"""Many small uploads through the deployed product with a model that answers at once: is one lost, how fast, how much memory?

In waves of equal size, so that the last can be held against the first: what grows with the table shows as a ratio.
"""

import io
import json
import os
import platform
import re
import statistics
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil
from rich.console import Console
from rich.table import Table

from local.demo import deployed
from local.deployment import Deployment
from local.embedded_aws import EmbeddedAws
from local.stages import Stages
from local.transcription import Listener, raise_if_stuck
from whisperstack_contract import keys
from whisperstack_contract.jobs import JobState
from whisperstack_contract.transcript import AudioFacts, Provenance, Segment, Transcript

WAVES: Final = 10

_STUB: Final = Path(__file__).with_name("stub_model")
_UPLOADERS: Final = 4
# Uploads without an end at a time. moto goes through a whole queue for each message that is sent to it, so that a thousand
# waiting ones cost more than all of the rest.
_PENDING: Final = 100
# The pipeline looks after what was lost every five minutes, and again a while later.
_PATIENCE_SECONDS: Final = 1200.0
_CHECK_SECONDS: Final = 10.0
_REPORT: Final = re.compile(r"^REPORT RequestId: \S+ Duration: ([\d.]+) ms Records: (\d+)$", re.MULTILINE)


class LostUploadsError(Exception):
    """Uploads came to no end, or to more than one; the message names some and where to look."""


@dataclass(frozen=True)
class Wave:
    """seconds: from its first upload to its last announcement. submit_ms: median of a submission, in its function."""

    uploads: int
    seconds: float
    submit_ms: float


@dataclass(frozen=True)
class LoadResult:
    """repeated: announcements that came more than once. peak_mb: of the emulator, and of the largest function by name."""

    waves: Sequence[Wave]
    repeated: int
    states: dict[str, int]
    peak_mb: dict[str, float]

    @property
    def uploads(self) -> int:
        return sum(wave.uploads for wave in self.waves)

    @property
    def uploads_per_second(self) -> float:
        return self.uploads / sum(wave.seconds for wave in self.waves)

    @property
    def submit_growth(self) -> float:
        """A submission's median time in the last wave beside that in the first."""
        return self.waves[-1].submit_ms / self.waves[0].submit_ms

    def document(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "uploads": self.uploads,
            "uploads_per_second": round(self.uploads_per_second, 2),
            "submit_growth": round(self.submit_growth, 3),
        }


def run_load(uploads: int, console: Console, name: str) -> LoadResult:
    """Deploy, send waves, check the table and the transcripts. Raises LostUploadsError, PipelineStuckError."""
    stages = Stages(console)
    with deployed(name, stages, before_endpoints=answer_at_once) as (aws, deployment):
        listener = Listener(aws, deployment)
        announced: Counter[tuple[str, str]] = Counter()
        waves = []
        for number, size in enumerate(wave_sizes(uploads), start=1):
            with stages.stage(f"Wave {number} of {WAVES}: {size:,} uploads"):
                waves.append(_wave(aws, deployment, listener, number, size, announced))
        with stages.stage("Look for lost uploads"):
            states = _states(aws, deployment)
            _raise_if_lost(aws, deployment, announced, states)
        return LoadResult(waves, sum(count - 1 for count in announced.values()), dict(states), _peak_mb(aws))


def wave_sizes(uploads: int) -> list[int]:
    """As equal as they can be."""
    return [uploads * (number + 1) // WAVES - uploads * number // WAVES for number in range(WAVES)]


def answer_at_once(aws: EmbeddedAws, model_bucket: str) -> None:
    """Put the stub in the place of every published model archive."""
    s3 = aws.client("s3")
    for entry in s3.list_objects_v2(Bucket=model_bucket)["Contents"]:
        if entry["Key"].endswith(keys.ARCHIVE_FILENAME):
            s3.put_object(Bucket=model_bucket, Key=entry["Key"], Body=_stub_archive())


def _stub_archive() -> bytes:
    text = " One short sentence."
    segment = Segment(0, 0.0, 1.5, text, avg_logprob=-0.2, compression_ratio=1.0, no_speech_prob=0.01, temperature=0.0)
    provenance = Provenance("stub", "stub", "0" * 64, AudioFacts("pcm_s16le", 1.5, 1.5), {"total": 0.001})
    answer = Transcript("transcribe", "en", 1.5, text, provenance, (segment,)).to_json().encode()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(_STUB / "inference.py", "code/inference.py")
        entry = tarfile.TarInfo("answer.json")
        entry.size = len(answer)
        tar.addfile(entry, io.BytesIO(answer))
    return archive.getvalue()


def _wave(
    aws: EmbeddedAws, deployment: Deployment, listener: Listener, number: int, size: int, announced: Counter[tuple[str, str]]
) -> Wave:
    s3, log = aws.client("s3"), _submit_log(aws)
    log_bytes = log.stat().st_size if log.exists() else 0
    room = threading.Semaphore(_PENDING)
    began = time.monotonic()

    def put(index: int) -> tuple[str, str]:
        key = f"{keys.INCOMING_PREFIX}wave-{number}/{index:05d}.wav"
        room.acquire()
        # Different bytes each; nobody decodes them.
        return key, s3.put_object(Bucket=deployment.audio_bucket, Key=key, Body=f"{number} {index}".encode())["VersionId"]

    heard = checked = time.monotonic()
    with ThreadPoolExecutor(_UPLOADERS) as pool:
        uploads = [pool.submit(put, index) for index in range(size)]
        try:
            while waiting := [upload for upload in uploads if not upload.done() or upload.result() not in announced]:
                for announcement in listener.receive():
                    place = (announcement.source.key, announcement.source.version_id)
                    if place not in announced:
                        room.release()
                    announced[place] += 1
                    heard = time.monotonic()
                if time.monotonic() - checked > _CHECK_SECONDS:
                    checked = time.monotonic()
                    raise_if_stuck(aws)
                if time.monotonic() - heard > _PATIENCE_SECONDS:
                    lost = min((upload.result()[0] for upload in waiting if upload.done()), default="none that was made")
                    raise LostUploadsError(
                        f"{len(waiting)} of {size} uploads of wave {number} came to no end, {lost} among them, and nothing was "
                        f"announced for {_PATIENCE_SECONDS / 60:.0f} minutes; see {aws.surroundings.logs}"
                    )
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            room.release(size)
    seconds = time.monotonic() - began
    with log.open() as file:
        file.seek(log_bytes)
        return Wave(size, round(seconds, 1), round(median_ms_per_record(file.read()), 1))


def median_ms_per_record(log: str) -> float:
    """Of the invocations that a function's log reports. Raises LostUploadsError where it reports none."""
    times = [float(duration) / int(records) for duration, records in _REPORT.findall(log)]
    if not times:
        raise LostUploadsError("the submitting function was not invoked; its log reports nothing")
    return statistics.median(times)


def _submit_log(aws: EmbeddedAws) -> Path:
    functions = aws.client("lambda").list_functions()["Functions"]
    (name,) = (each["FunctionName"] for each in functions if each["Handler"].startswith("submit_transcription"))
    return aws.surroundings.logs / "functions" / f"{name}.log"


def _states(aws: EmbeddedAws, deployment: Deployment) -> Counter[str]:
    """How many jobs of the table are in each state."""
    pages = aws.client("dynamodb").get_paginator("scan").paginate(TableName=deployment.job_table)
    rows = (row for page in pages for row in page["Items"])
    return Counter(row["state"]["S"] for row in rows if "state" in row)


def _raise_if_lost(aws: EmbeddedAws, deployment: Deployment, announced: Counter[tuple[str, str]], states: Counter[str]) -> None:
    there = set(_keys(aws, deployment.transcripts_bucket, keys.TRANSCRIPTS_PREFIX))
    lacking = [key for key, _ in announced if keys.transcript_key(key, "json") not in there]
    if lacking or dict(states) != {JobState.SUCCEEDED: len(announced)}:
        raise LostUploadsError(
            f"{len(announced)} uploads were announced; the table holds {dict(states)}, and {len(lacking)} have no transcript"
            f"{', ' + lacking[0] + ' among them' if lacking else ''}; see {aws.surroundings.logs}"
        )


def _keys(aws: EmbeddedAws, bucket: str, prefix: str) -> Iterator[str]:
    for page in aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (entry["Key"] for entry in page.get("Contents", []))


def _peak_mb(aws: EmbeddedAws) -> dict[str, float]:
    """Peak resident memory of the embedded AWS, and of the largest process that runs each function."""
    emulator = psutil.Process(aws.process.pid)
    peaks = {"embedded AWS": _high_water_mb(emulator.pid)}
    for child in emulator.children(recursive=True):
        command = child.cmdline()
        if any("function_runtime" in part for part in command):
            package = command[-1].partition(".")[0]
            peaks[package] = max(peaks.get(package, 0.0), _high_water_mb(child.pid))
    return peaks


def _high_water_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return round(int(kilobytes) / 1024, 1)


def show_load(result: LoadResult, console: Console) -> None:
    table = Table("wave", "uploads", "seconds", "uploads a second", "a submission, ms", title="Load", title_justify="left")
    for column in table.columns:
        column.justify = "right"
    for number, wave in enumerate(result.waves, start=1):
        pace = f"{wave.uploads / wave.seconds:.1f}"
        table.add_row(str(number), f"{wave.uploads:,}", f"{wave.seconds:.1f}", pace, f"{wave.submit_ms:.1f}")
    console.print(table)
    memory = ", ".join(f"{name} {peak:.0f} MB" for name, peak in result.peak_mb.items())
    console.print(
        f"{result.uploads:,} uploads, none lost, {result.repeated} announcements repeated, "
        f"{result.uploads_per_second:.1f} uploads a second. Peak memory: {memory}. "
        f"A submission took {result.submit_growth:.2f} times as long in the last wave as in the first.",
        highlight=False,
    )


def write_load(result: LoadResult, path: Path) -> None:
    surroundings = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("boto3", "moto")}},
    }
    path.write_text(json.dumps({**surroundings, **result.document()}, indent=1) + "\n", encoding="utf-8")
