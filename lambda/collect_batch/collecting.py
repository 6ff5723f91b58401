"""Collects a shard, part by part, and notes down what came of each recording."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from batch_runs.grouping import options_digest
from batch_runs.run import Run
from batch_runs.run_rows import RunRows, RunTakenOverError
from batch_runs.work_files import Line, Note, WorkFiles, collected_note, manifest
from collect_batch.outputs import Collected, Outcome, Outputs
from collect_batch.transform_jobs import find_transform_jobs
from transcription_jobs.job_table import JobTable
from whisperstack_contract import keys

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Recordings whose results are written at a time; each takes about a dozen calls, one after the other.
THREADS: Final = 16

# Recordings in a note, and between two looks at the time.
_PART: Final = 500


@dataclass(frozen=True)
class Collecting:
    outputs: Outputs
    jobs: JobTable
    runs: RunRows
    s3: "S3Client"
    sagemaker: Any
    audio_bucket: str

    def go_on(
        self, run: Run, shard: Mapping[str, Any], start: int, in_time: Callable[[], bool]
    ) -> tuple[int | None, Mapping[str, int]]:
        """Where to go on, None at the end; and how many recordings of this shard came to what in this call."""
        files = WorkFiles(self.s3, self.audio_bucket, run)
        _, *ids = files.read_array(manifest(shard["round"], shard["shard"]))
        transform_jobs = find_transform_jobs(self.sagemaker, shard["job_name"]) if shard["transform"] else []
        had_its_try = not shard["transform"] or any(job.has_run for job in transform_jobs)
        told = {"transform_jobs": [job.as_dict() for job in transform_jobs]} if start == 0 else {}
        counts: dict[str, int] = {}
        place: int | None = start
        with ThreadPoolExecutor(THREADS) as pool:
            while place is not None:
                self._renew(run)
                note = self._collect_part(run, shard, ids[place : place + _PART], had_its_try, pool)
                note.more |= {**told, "transform": shard["transform"]}
                files.write(collected_note(shard["round"], shard["shard"], place), note)
                counts = {outcome: counts.get(outcome, 0) + note.counts[outcome] for outcome in Outcome}
                place, told = (place + _PART if place + _PART < len(ids) else None), {}
                if not in_time():
                    break
        return place, counts

    def _collect_part(
        self, run: Run, shard: Mapping[str, Any], ids: Sequence[str], had_its_try: bool, pool: ThreadPoolExecutor
    ) -> Note:
        jobs = self.jobs.load_all(ids)

        def collect(job_id: str) -> Collected:
            job = jobs.get(job_id)
            if job is None:
                return Collected(Outcome.MOVED_ON)
            location = f"{shard['output']}{job_id}{keys.BATCH_OUTPUT_SUFFIX}"
            return self.outputs.collect(run, job, location, shard["round"], had_its_try=had_its_try)

        return _note(list(pool.map(collect, ids)))

    def _renew(self, run: Run) -> None:
        try:
            self.runs.renew(run)
        except RunTakenOverError:
            # What is stored is worth recording, whoever asked for it; and what is not, the other execution has planned.
            return


def _note(collected: Sequence[Collected]) -> Note:
    note = Note()
    sums = dict.fromkeys(("audio_seconds", "processing_seconds"), Decimal(0))
    for each in collected:
        note.counts[each.outcome] += 1
        if each.receipt:
            sums["audio_seconds"] += each.receipt.audio_seconds
            sums["processing_seconds"] += each.receipt.processing_seconds
        job = each.job
        if job is None:
            continue
        if each.outcome is Outcome.FAILED and each.error:
            note.lines.append((Line.FAILED, job.source.key, each.error.code, each.error.message))
        elif each.outcome is Outcome.AGAIN:
            digest = options_digest(job.options)
            note.options[digest] = job.options
            note.lines.append((Line.TRANSCRIBE, job.job_id, job.size_bytes, digest))
        elif each.outcome is Outcome.SENT_ON:
            note.lines.append((Line.REQUEUE, job.job_id, each.failed))
        if each.warnings:
            note.lines.append((Line.WARNED, job.source.key, each.warnings))
    note.more |= {name: float(value) for name, value in sums.items()}
    return note
