"""From notes about recordings to transform jobs: manifests, and the list that the state machine goes through."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from batch_runs.run import ROUNDS, Run
from batch_runs.run_rows import RunRows
from batch_runs.work_files import PAGES, Line, Note, WorkFiles, collected_folder, manifest, overflow_note, shards
from plan_batch.settings import Settings
from plan_batch.sharding import MOST_OPTIONS, Shard, sorted_on_disk
from whisperstack_contract import keys
from whisperstack_contract.options import TranscriptionOptions

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_THREADS: Final = 16


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
        made: list[dict[str, Any]] = []
        if round_number <= ROUNDS:
            made = self._items(run, round_number, files)
            if made:
                files.write_json(shards(round_number), made)
        return {
            "round": round_number,
            "next_round": round_number + 1,
            "shards": len(made),
            "shards_bucket": files.bucket,
            "shards_key": run.work_key(shards(round_number)),
            "files": sum(item["files"] for item in made),
        }

    def _items(self, run: Run, round_number: int, files: WorkFiles) -> list[dict[str, Any]]:
        options: dict[str, str] = {}
        with sorted_on_disk(self.settings.limits) as database, ThreadPoolExecutor(_THREADS) as pool:
            for note in _notes(round_number, files):
                database.add((job, size, digest) for job, size, digest in note.of(Line.TRANSCRIBE))
                database.add_stored((job, size) for job, size in note.of(Line.STORED))
                options |= note.options
            if self.settings.leftovers:
                rare: list[Sequence[Any]] = [(Line.REQUEUE, job, False) for job in database.take_rarest_options(MOST_OPTIONS)]
                if rare:
                    files.write(overflow_note(round_number), Note(Counter(overflow=len(rare)), lines=rare))
            placed = database.place()

            def write(shard: Shard, jobs: list[str]) -> None:
                prefix = {"prefix": f"s3://{self.settings.audio_bucket}/{keys.STAGED_PREFIX}"}
                files.write_json(manifest(round_number, shard.number), [prefix, *jobs])

            written = [pool.submit(write, shard, database.jobs(shard)) for shard in placed]
            for each in written:
                each.result()
        return [self._item(run, round_number, files, shard, options) for shard in placed]

    def _item(self, run: Run, round_number: int, files: WorkFiles, shard: Shard, options: dict[str, str]) -> dict[str, Any]:
        environment = None
        if shard.payload_mb is not None:
            environment = TranscriptionOptions.from_json(options[shard.options]).to_batch_environment()
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


def _notes(round_number: int, files: WorkFiles) -> Iterator[Note]:
    for name in files.notes(PAGES if round_number == 1 else collected_folder(round_number - 1)):
        yield files.read(name)
