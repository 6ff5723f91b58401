"""From notes about recordings to transform jobs: manifests, and the list that the state machine goes through."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING, Any, Final

from batch_runs.run import ROUNDS, Run
from batch_runs.run_rows import RunRows
from batch_runs.work_files import PAGES, Line, Note, WorkFiles, collected_folder, manifest, overflow_note, shards
from plan_batch.settings import Settings
from plan_batch.sharding import MOST_OPTIONS, Shard, Shards, sorted_on_disk
from whisperstack_contract import keys
from whisperstack_contract.options import TranscriptionOptions

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_THREADS: Final = 16
_OVERFLOW_LINES: Final = 1000


@dataclass(frozen=True)
class Sharing:
    settings: Settings
    runs: RunRows
    s3: "S3Client"

    def share_out(self, run: Run, round_number: int) -> dict[str, Any]:
        """Makes the shards of one round: of all recordings in the first, of those without an output in the next.

        Raises RunTakenOverError.
        """
        self.runs.renew(run)
        files = WorkFiles(self.s3, self.settings.audio_bucket, run)
        made, recordings = self._make(run, round_number, files) if round_number <= ROUNDS else (0, 0)
        return {
            "round": round_number,
            "next_round": round_number + 1,
            "shards": made,
            "shards_bucket": files.bucket,
            "shards_key": run.work_key(shards(round_number)),
            "files": recordings,
        }

    def _make(self, run: Run, round_number: int, files: WorkFiles) -> tuple[int, int]:
        """(shards, recordings in them)."""
        with sorted_on_disk(self.settings.limits) as database:
            for note in _notes(round_number, files):
                database.add((job, size, digest) for job, size, digest in note.of(Line.TRANSCRIBE))
                database.add_stored((job, size) for job, size in note.of(Line.STORED))
                database.add_options(note.options)
            if self.settings.leftovers:
                _write_overflow(round_number, files, database.take_rarest_options(MOST_OPTIONS))
            database.place()
            self._write_manifests(round_number, files, database)
            if (totals := database.totals()) != (0, 0):
                items = (self._item(run, round_number, files, shard, database) for shard in database)
                files.write_array(shards(round_number), items)
        return totals

    def _write_manifests(self, round_number: int, files: WorkFiles, database: Shards) -> None:
        prefix = {"prefix": f"s3://{self.settings.audio_bucket}/{keys.STAGED_PREFIX}"}

        def write(number: int, jobs: list[str]) -> None:
            files.write_array(manifest(round_number, number), [prefix, *jobs])

        with ThreadPoolExecutor(_THREADS) as pool:
            placed = iter(database)
            # A few at a time, so that not all of the batch waits in memory to be written.
            while some := list(islice(placed, _THREADS)):
                list(pool.map(write, [shard.number for shard in some], [database.jobs(shard) for shard in some]))

    def _item(self, run: Run, round_number: int, files: WorkFiles, shard: Shard, database: Shards) -> dict[str, Any]:
        environment = None
        if shard.payload_mb is not None:
            environment = TranscriptionOptions.from_json(database.options(shard)).to_batch_environment()
        return {
            "shard": shard.number,
            "round": round_number,
            "transform": shard.payload_mb is not None,
            "job_name": run.transform_job(self.settings.job_prefix, round_number, shard.number),
            "manifest": files.uri(manifest(round_number, shard.number)),
            "output": f"s3://{self.settings.transcripts_bucket}/{keys.batch_output_prefix(run.token, round_number)}",
            "payload_mb": shard.payload_mb,
            "concurrency": shard.concurrency,
            "environment": environment,
            "files": shard.files,
            "bytes": shard.bytes,
        }


def _write_overflow(round_number: int, files: WorkFiles, jobs: Iterator[str]) -> None:
    for number in count():
        lines: list[Sequence[Any]] = [(Line.REQUEUE, job, False) for job in islice(jobs, _OVERFLOW_LINES)]
        if not lines:
            return
        files.write(overflow_note(round_number, number), Note(lines=lines))


def _notes(round_number: int, files: WorkFiles) -> Iterator[Note]:
    for name in files.notes(PAGES if round_number == 1 else collected_folder(round_number - 1)):
        yield files.read(name)
