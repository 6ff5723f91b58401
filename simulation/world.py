"""One seeded world: an AWS with faults, users, operators, and the functions between them, from the first upload until all is
quiet."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from reconcile_jobs.handler import lambda_handler as reconcile
from reconcile_jobs.listing import EVERY_SECONDS
from record_result.handler import lambda_handler as record
from simulation.deliveries import Handler, Lambda, Mapping, Schedule
from simulation.endpoint import Endpoint, Status
from simulation.events import SNS, EventBridge
from simulation.faults import Fault, Faults
from simulation.functions import AUDIO_BUCKET, INTAKE_QUEUE, RESULTS_QUEUE, TRANSCRIPTS_BUCKET, Clients, Functions
from simulation.history import History
from simulation.mistakes import Mistakes
from simulation.operators import Operators
from simulation.queues import SQS, Queue
from simulation.scheduler import EPOCH, Scheduler
from simulation.stored_objects import S3, Bucket
from simulation.table import DynamoDB, Table
from simulation.users import Users
from simulation.wire import Outages, Wire
from submit_transcription.handler import lambda_handler as submit
from transcription_jobs.outbox import Outbox
from whisperstack_contract.job_table import ACTIVE
from whisperstack_contract.job_times import JobTimes

# As infra/constructs set them; a test compares them with the templates.
SUBMIT_TIMEOUT: Final = 180
SUBMIT_BATCH: Final = 5
RECORD_TIMEOUT: Final = 60
RECORD_BATCH: Final = 10
RECONCILE_TIMEOUT: Final = 280
RECONCILE_EVERY: Final = 300
CONCURRENCY: Final = 20
VISIBILITY_PER_TIMEOUT: Final = 6
DELIVERIES: Final = 10

INSTANCES: Final = 3
TIMES: Final = JobTimes()

# Faults may go on for so long after the last upload.
_FAULTS_SECONDS: Final = 6 * 3600
# After the last fault: until a listing has found an upload, whose job then takes all the time that it has; and the last dead
# letter has been sent again.
_SETTLED_SECONDS: Final = EVERY_SECONDS + TIMES.age_limit + 12 * 3600
_STEP_SECONDS: Final = 3600


def _same(client: Any) -> Any:
    return client


@dataclass(frozen=True)
class Parts:
    """What a mutant replaces. s3, dynamodb, sagemaker: put between the functions and a client."""

    s3: Callable[[Any], Any] = _same
    dynamodb: Callable[[Any], Any] = _same
    sagemaker: Callable[[Any], Any] = _same
    outbox: type[Outbox] = Outbox
    times: JobTimes = TIMES
    reconciler: bool = True
    dead_letters: bool = True


class World:
    """subjects: parts of keys, or job ids, whose story is kept. All randomness comes from the seed."""

    def __init__(self, seed: int, uploads: int, parts: Parts | None = None, subjects: tuple[str, ...] = ()) -> None:
        parts = parts or Parts()
        self.times = parts.times
        random = Random(seed)  # noqa: S311  # it must repeat
        self.scheduler = scheduler = Scheduler()
        self.history = History(subjects)
        self.faults = faults = Faults.draw(random)
        self.outages = outages = Outages(scheduler, faults)
        self.wire = wire = Wire(scheduler, faults, outages, self.history, random)
        self.audio = Bucket(AUDIO_BUCKET, lambda: scheduler.now, keeps=True)
        self.transcripts = Bucket(TRANSCRIPTS_BUCKET, lambda: scheduler.now, keeps=False)
        self.table = Table(scheduler, faults)
        self.intake, self.intake_dead = self._work_queue(INTAKE_QUEUE, SUBMIT_TIMEOUT, parts)
        self.results, self.results_dead = self._work_queue(RESULTS_QUEUE, RECORD_TIMEOUT, parts)
        undelivered = {name: Queue(scheduler, f"{name}-undelivered") for name in (INTAKE_QUEUE, RESULTS_QUEUE)}
        self.dead = [self.intake_dead, self.results_dead, *undelivered.values()]
        rules = {
            "Object Created": (self.intake, undelivered[INTAKE_QUEUE] if parts.dead_letters else None),
            "Object Deleted": (self.results, undelivered[RESULTS_QUEUE] if parts.dead_letters else None),
        }
        EventBridge(scheduler, faults, outages, rules).hear(self.audio)
        self.endpoint = Endpoint(
            scheduler, faults, outages, wire, random, self.audio, self.transcripts, self.results, INSTANCES
        )
        self.sns = SNS(wire)
        queues = {queue.name: queue for queue in (self.intake, self.results, *self.dead)}
        buckets = {bucket.name: bucket for bucket in (self.audio, self.transcripts)}
        clients = Clients(
            s3=parts.s3(S3(wire, faults, buckets)),
            dynamodb=parts.dynamodb(DynamoDB(wire, faults, self.table)),
            sqs=SQS(wire, faults, queues),
            sns=self.sns,
            sagemaker=parts.sagemaker(self.endpoint),
        )
        self.mistakes = Mistakes()
        self.functions = Functions(clients, parts.times, INSTANCES, self.mistakes, parts.outbox)
        self.users = Users(scheduler, faults, random, self.audio, uploads, INSTANCES)
        self._run_functions(parts.reconciler)
        self.faults_end = EPOCH + self.users.span + _FAULTS_SECONDS
        outages.draw(random, self.faults_end)
        self._draw_breakdowns(random)
        moves = [(queue, self.results if queue.name.startswith(RESULTS_QUEUE) else self.intake) for queue in self.dead]
        Operators(self.lambdas, clients.sqs, moves).start()

    def run(self) -> None:
        self.users.start()
        with self.functions.in_place():
            self.scheduler.run(self.faults_end)
            self.faults.over = True
            if self.endpoint.status is not Status.IN_SERVICE:
                self.endpoint.change(Status.IN_SERVICE)
            while self.scheduler.now < self.faults_end + _SETTLED_SECONDS and not self.is_quiet:
                self.scheduler.run(self.scheduler.now + _STEP_SECONDS)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is left to be done, by anyone; whatever is wrong then stays wrong."""
        on_its_way = sum(map(len, [self.intake, self.results, *self.dead]))
        if on_its_way or not self.endpoint.is_idle or any(ACTIVE in row for row in self.table.rows.values()):
            return False
        known = {row["source_version_id"]["S"] for row in self.jobs().values()}
        return all(version.version_id in known for version in self.uploads_there())

    def jobs(self) -> dict[str, dict[str, Any]]:
        return {key: row for key, row in self.table.rows.items() if "source_key" in row}

    def uploads_there(self) -> list[Any]:
        """Versions of uploads that exist."""
        return [
            version
            for upload in self.users.uploaded.values()
            if (version := self.audio.version(upload.version.key, upload.version.version_id))
        ]

    def _work_queue(self, name: str, timeout: int, parts: Parts) -> tuple[Queue, Queue]:
        dead = Queue(self.scheduler, f"{name}-dead")
        queue = Queue(
            self.scheduler,
            name,
            visibility=timeout * VISIBILITY_PER_TIMEOUT,
            deliveries=DELIVERIES,
            dead_letters=dead if parts.dead_letters else None,
        )
        return queue, dead

    def _run_functions(self, reconciler: bool) -> None:
        self.lambdas = Lambda(self.scheduler, self.faults, self.outages, self.wire, self.mistakes)
        handlers: dict[str, Handler] = {"submit": submit, "record": record}
        Mapping(self.lambdas, self.intake, "submit", handlers["submit"], SUBMIT_TIMEOUT, SUBMIT_BATCH, CONCURRENCY)
        Mapping(self.lambdas, self.results, "record", handlers["record"], RECORD_TIMEOUT, RECORD_BATCH, CONCURRENCY)
        if reconciler:
            Schedule(self.lambdas, "reconcile", reconcile, RECONCILE_TIMEOUT, RECONCILE_EVERY).start()

    def _draw_breakdowns(self, random: Random) -> None:
        """Times in which the endpoint is being updated, or has failed."""
        for fault, status, longest in (
            (Fault.ENDPOINT_UPDATING, Status.UPDATING, 3600),
            (Fault.ENDPOINT_FAILED, Status.FAILED, 8 * 3600),
        ):
            if self.faults.has(fault):
                start = random.uniform(EPOCH, self.faults_end)
                end = min(start + random.uniform(60, longest), self.faults_end)
                self.scheduler.at(start, lambda fault=fault, status=status: self._break_down(fault, status))  # type: ignore[misc]
                self.scheduler.at(end, lambda: self.endpoint.change(Status.IN_SERVICE))

    def _break_down(self, fault: Fault, status: Status) -> None:
        self.faults.happened(fault)
        self.endpoint.change(status)
