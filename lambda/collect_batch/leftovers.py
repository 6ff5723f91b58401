"""Hands on to the asynchronous pipeline what a batch could not transcribe: too large, failed twice, with rare options.

Each is handed on as the pipeline would have got it: a recording without a row as an upload, a job as one whose turn it is. A
message that comes twice does no work twice, so a note that was handed on half is handed on again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batch_runs.run import ROUNDS, Run
from batch_runs.run_rows import RunRows
from batch_runs.work_files import PAGES, Line, Note, WorkFiles, collected_folder, overflow_folder
from transcription_jobs.job_table import JobTable
from transcription_jobs.queues import send
from whisperstack_contract import messages
from whisperstack_contract.jobs import JobState, SourceVersion

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True)
class Leftovers:
    """intake_queue: a URL; None where there is no asynchronous pipeline, and so nothing was left for it."""

    jobs: JobTable
    runs: RunRows
    s3: "S3Client"
    sqs: "SQSClient"
    audio_bucket: str
    intake_queue: str | None

    def go_on(self, run: Run, after: str, in_time: Callable[[], bool]) -> tuple[str | None, int]:
        """The last note that was handed on, None once all are; and how many recordings were. Raises RunTakenOverError."""
        if self.intake_queue is None:
            return None, 0
        files = WorkFiles(self.s3, self.audio_bucket, run)
        sent = 0
        for name in notes_of_leftovers(files, after):
            self.runs.renew(run)
            note = files.read(name)
            bodies = [*self._uploads(note), *self._turns(run, list(note.of(Line.REQUEUE)))]
            send(self.sqs, self.intake_queue, bodies)
            sent += len(bodies)
            if not in_time():
                return name, sent
        return None, sent

    def _uploads(self, note: Note) -> Iterator[str]:
        for key, version, size in note.of(Line.TOO_LARGE):
            yield messages.uploaded(SourceVersion(self.audio_bucket, key, version), size)

    def _turns(self, run: Run, requeued: Sequence[Sequence[Any]]) -> Iterator[str]:
        jobs = self.jobs.load_all([job_id for job_id, _ in requeued])
        for job_id, failed in requeued:
            job = jobs.get(job_id)
            if job and job.state is JobState.SUBMITTED and job.batch == run.prefix:
                job = self.jobs.retry(job, failed=failed)
            # Where it has moved on before, it was by this same function, or needs nothing.
            if job and job.state is JobState.RECEIVED:
                yield messages.turn(job_id)


def notes_of_leftovers(files: WorkFiles, after: str = "") -> Iterator[str]:
    overflows = [overflow_folder(number) for number in range(1, ROUNDS + 1)]
    yield from files.notes(collected_folder(ROUNDS), PAGES, *overflows, after=after)
