"""The functions' own code, with clients of the simulated AWS; each run is a new process, as after a cold start."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from batch_runs.run_rows import RunRows
from reconcile_jobs import handler as reconcile_handler
from reconcile_jobs.answers import Answers
from reconcile_jobs.handler import Reconciliation
from reconcile_jobs.listing import Listing
from reconcile_jobs.unfinished import Unfinished
from record_result import handler as record_handler
from record_result.handler import Room
from record_result.ownership import Ownership
from record_result.recording import Recording
from simulation.mistakes import Mistakes
from simulation.scheduler import current_process
from submit_transcription import handler as submit_handler
from submit_transcription.settings import Settings
from submit_transcription.submission import Submission
from transcription_jobs.admission import Admission
from transcription_jobs.endpoint_output import EndpointOutput
from transcription_jobs.job_table import JobTable
from transcription_jobs.outbox import Outbox
from transcription_jobs.result_objects import ResultObjects
from whisperstack_contract.job_times import JobTimes
from whisperstack_contract.options import PartialOptions
from whisperstack_contract.receipt import Instances

AUDIO_BUCKET: Final = "audio"
TRANSCRIPTS_BUCKET: Final = "transcripts"
INTAKE_QUEUE: Final = "intake"
RESULTS_QUEUE: Final = "results"
_TABLE: Final = "jobs"
_TOPIC: Final = "announcements"
_INSTANCES: Final = Instances("ml.g5.xlarge", 1, 1.408, "2026-11-22")


@dataclass(frozen=True)
class Clients:
    s3: Any
    dynamodb: Any
    sqs: Any
    sns: Any
    sagemaker: Any


@dataclass(frozen=True)
class Functions:
    """The three functions' handlers. outbox: its class, for a mutant."""

    clients: Clients
    times: JobTimes
    slots: int
    mistakes: Mistakes
    outbox: type[Outbox] = Outbox

    def submission(self) -> Submission:
        settings = Settings(
            job_table=_TABLE,
            audio_bucket=AUDIO_BUCKET,
            transcripts_bucket=TRANSCRIPTS_BUCKET,
            endpoint_name="whisper",
            announcements_topic=_TOPIC,
            default_options=PartialOptions({"language": "en"}),
            prompts_from_metadata=False,
            model_digest="d" * 64,
            times=self.times,
            slots=self.slots,
        )
        jobs, _, outbox = self._parts()
        return Submission(settings, jobs, self._admission(jobs), outbox, self.clients.s3, self.clients.sagemaker)

    def room(self) -> Room:
        jobs, objects, outbox = self._parts()
        output = EndpointOutput(self.clients.s3, TRANSCRIPTS_BUCKET)
        recording = Recording(jobs, self._admission(jobs), output, outbox, _INSTANCES)
        return Room(recording, Ownership(jobs, objects, AUDIO_BUCKET))

    def reconciliation(self) -> Reconciliation:
        jobs, _, outbox = self._parts()
        answers = Answers(self.clients.s3, TRANSCRIPTS_BUCKET)
        unfinished = Unfinished(
            jobs, RunRows(jobs), self._admission(jobs), answers, outbox, self.clients.sqs, INTAKE_QUEUE, RESULTS_QUEUE
        )
        return Reconciliation(unfinished, Listing(jobs, self.clients.s3, self.clients.sqs, AUDIO_BUCKET, INTAKE_QUEUE))

    def _parts(self) -> tuple[JobTable, ResultObjects, Outbox]:
        jobs = JobTable(self.clients.dynamodb, _TABLE, self.times, clock=current_process().clock)
        objects = ResultObjects(self.clients.s3, TRANSCRIPTS_BUCKET)
        return jobs, objects, self.outbox(jobs, objects, self.clients.sns, _TOPIC)

    def _admission(self, jobs: JobTable) -> Admission:
        return Admission(jobs.rows, self.times, self.slots)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within, the handlers find these parts instead of those that they make from their environment; and they are quiet."""
        modules: tuple[Any, ...] = (submit_handler, record_handler, reconcile_handler)
        makers: tuple[tuple[Any, str, Callable[[], Any]], ...] = (
            (submit_handler, "submission", self.submission),
            (record_handler, "room", self.room),
            (reconcile_handler, "reconciliation", self.reconciliation),
        )
        places: list[tuple[Any, str, Any]] = [*makers]
        places += [(module, "single_metric", _no_metric) for module in modules]
        consumers: tuple[Any, ...] = (submit_handler, record_handler)
        places += [(module, "process_deliveries", self.mistakes.process_deliveries) for module in consumers]
        before = [(module, name, getattr(module, name)) for module, name, _ in places]
        levels = [(module.logger, module.logger.level) for module in modules]
        try:
            for module, name, made in places:
                setattr(module, name, made)
            for logger, _ in levels:
                logger.setLevel(logging.CRITICAL)
            yield
        finally:
            for module, name, made in before:
                setattr(module, name, made)
            for logger, level in levels:
                logger.setLevel(level)


@contextmanager
def _no_metric(**_what: Any) -> Iterator[None]:
    yield
