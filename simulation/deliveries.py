"""How Lambda runs functions: from queues, in batches whose failed messages come again, and on a schedule."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

from simulation.faults import Fault, Faults
from simulation.mistakes import Mistakes
from simulation.queues import Message, Queue, subject_of
from simulation.scheduler import Crash, Process, Scheduler
from simulation.wire import Outages, Wire

# Lambda's hosts follow Amazon's time service to the millisecond; this is far more.
_SKEW_SECONDS: Final = 10.0

Handler = Callable[[dict[str, Any], Any], Any]


@dataclass
class Lambda:
    """Starts processes."""

    scheduler: Scheduler
    faults: Faults
    outages: Outages
    wire: Wire
    mistakes: Mistakes
    started: int = 0

    def run(self, name: str, timeout: float, handler: Callable[[Any], Any], ended: Callable[[Any], None]) -> None:
        """handler: is given the context. ended: is told what it returned, or None where it died, raised, or did not start."""
        if self.outages.is_out("lambda") or self.faults.happens(Fault.FUNCTION_REFUSED):
            ended(None)
            return
        self.started += 1
        skew = self.faults.random.uniform(-1, 1) * _SKEW_SECONDS if self.faults.happens(Fault.CLOCK_SKEWED) else 0.0
        process = Process(self.scheduler, f"{name} {self.started}", skew, timeout)

        def body() -> None:
            answer = None
            try:
                with self.mistakes.noticed():
                    answer = handler(_context(process))
            except Crash:
                self._note(process, "died")
            except Exception as error:  # noqa: BLE001  # Lambda outlives whatever a function raises; mistakes have been noticed
                self._note(process, f"raised {type(error).__name__}: {error}")
            ended(answer)

        process.start(body)

    def _note(self, process: Process, outcome: str) -> None:
        self.wire.history.note(self.scheduler.now, process.name, "", "", outcome)


def _context(process: Process) -> SimpleNamespace:
    return SimpleNamespace(
        aws_request_id=process.name,
        function_name=process.name,
        memory_limit_in_mb=512,
        invoked_function_arn=process.name,
        get_remaining_time_in_millis=lambda: int(process.remaining_seconds() * 1000),
    )


@dataclass
class Mapping:
    """An event source mapping: a queue's messages, to a function that names those that failed."""

    functions: Lambda
    queue: Queue
    name: str
    handler: Handler
    timeout: float
    batch_size: int
    max_concurrency: int
    running: int = 0

    def __post_init__(self) -> None:
        self.queue.heard = self._pump

    def _pump(self) -> None:
        while self.running < self.max_concurrency:
            batch = self.queue.receive(self.batch_size)
            if not batch:
                return
            self.running += 1
            self.functions.run(
                self.name,
                self.timeout,
                lambda context, batch=batch: self._handle(batch, context),  # type: ignore[misc]
                lambda answer, batch=batch: self._ended(batch, answer),  # type: ignore[misc]
            )

    def _handle(self, batch: list[Message], context: Any) -> Any:
        wire = self.functions.wire
        for message in batch:
            wire.history.note(
                wire.scheduler.now, context.function_name, "handles", subject_of(message.body), f"delivery {message.receives}"
            )
        return self.handler(_event(batch), context)

    def _ended(self, batch: list[Message], answer: Any) -> None:
        self.running -= 1
        faults = self.functions.faults
        # A function that died has not said which messages are done: all come again when they are no longer hidden.
        failed = None if answer is None else {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        for message in batch:
            if failed is None or message.message_id in failed or self.functions.outages.is_out("sqs"):
                continue
            if faults.happens(Fault.MESSAGE_REPEATED):
                self.queue.send(message.body, faults.random.uniform(0, 3600))
            self.queue.delete(message.receipt)
        self.functions.scheduler.after(0, self._pump)


def _event(batch: list[Message]) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": message.message_id,
                "receiptHandle": message.receipt,
                "body": message.body,
                "attributes": {"ApproximateReceiveCount": str(message.receives)},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:queue",
                "awsRegion": "us-east-1",
            }
            for message in batch
        ]
    }


@dataclass
class Schedule:
    """Runs a function every so many seconds; a run that fails is not made again."""

    functions: Lambda
    name: str
    handler: Handler
    timeout: float
    every: float

    def start(self) -> None:
        self.functions.scheduler.after(self.every, self._run)

    def _run(self) -> None:
        self.functions.scheduler.after(self.every, self._run)
        self.functions.run(self.name, self.timeout, lambda context: self.handler({}, context), lambda _answer: None)
