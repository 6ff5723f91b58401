"""The wire between the functions and AWS: each call takes time there, and can be refused, cut off, or answered in vain."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final, TypeVar

from botocore.exceptions import ClientError

from simulation.faults import Fault, Faults
from simulation.history import History
from simulation.scheduler import Scheduler, current_process

_T = TypeVar("_T")

_LATENCY_SECONDS: Final = 0.02
_SLOW_SECONDS: Final = 60.0  # botocore's read timeout, after which it asks again

# The service's own words when it is overloaded, with their status. Source: each service's API reference, "Common errors".
_THROTTLED: Final = {
    "s3": ("SlowDown", 503),
    "dynamodb": ("ProvisionedThroughputExceededException", 400),
    "sqs": ("RequestThrottled", 403),
    "sns": ("Throttled", 429),
    "sagemaker": ("ThrottlingException", 400),
}

OUTAGES: Final = {
    "s3": Fault.OUTAGE_S3,
    "dynamodb": Fault.OUTAGE_DYNAMODB,
    "sqs": Fault.OUTAGE_SQS,
    "sns": Fault.OUTAGE_SNS,
    "sagemaker": Fault.OUTAGE_SAGEMAKER,
    "lambda": Fault.OUTAGE_LAMBDA,
}


def client_error(operation: str, code: str, status: int, message: str = "") -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        operation,
    )


@dataclass
class Outages:
    """When each service is out, and what share of calls it refuses then."""

    scheduler: Scheduler
    faults: Faults
    windows: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    def draw(self, random: Random, until: float) -> None:
        """One outage at most of each service: a few minutes, or longer than ten deliveries of a message take."""
        for service, fault in OUTAGES.items():
            if self.faults.has(fault):
                start = random.uniform(self.scheduler.now, until)
                length = 60 * 10 ** random.uniform(0.5, 2.7)
                self.windows[service] = (start, start + length, random.choice((0.3, 0.9, 1.0)))

    def is_out(self, service: str) -> bool:
        window = self.windows.get(service)
        if window is None or self.faults.over or not window[0] <= self.scheduler.now < window[1]:
            return False
        if self.faults.random.random() >= window[2]:
            return False
        self.faults.happened(OUTAGES[service])
        return True

    def end_of(self, service: str) -> float:
        """When to try again."""
        window = self.windows.get(service)
        return window[1] if window and window[0] <= self.scheduler.now else self.scheduler.now


@dataclass
class Wire:
    scheduler: Scheduler
    faults: Faults
    outages: Outages
    history: History
    random: Random

    def call(self, service: str, operation: str, subject: str, effect: Callable[[], _T]) -> _T:
        """The effect happens at one moment, some time after the call; what AWS answers, or fails to, comes after it."""
        process, faults = current_process(), self.faults
        while True:
            process.sleep(self.random.uniform(0.2, 1.8) * _LATENCY_SECONDS)
            if faults.happens(Fault.CRASH_BEFORE_CALL):
                self._note(process.name, operation, subject, "crash before")
                process.crash()
            if faults.happens(Fault.CALL_SLOW):
                process.sleep(self.random.uniform(1, _SLOW_SECONDS))
            if self.outages.is_out(service) or faults.happens(Fault.CALL_THROTTLED):
                self._note(process.name, operation, subject, "refused")
                process.interrupted("a call was refused")
                raise client_error(operation, *_THROTTLED[service])
            try:
                answer = effect()
            except ClientError as error:
                self._note(process.name, operation, subject, error.response["Error"]["Code"])
                raise
            if faults.happens(Fault.CRASH_AFTER_CALL):
                self._note(process.name, operation, subject, "done; crash after")
                process.crash()
            if not faults.happens(Fault.ANSWER_LOST):
                self._note(process.name, operation, subject, "done")
                return answer
            # What botocore then does of its own accord: it asks again, and may be refused by what it did itself.
            self._note(process.name, operation, subject, "done; answer lost")
            process.interrupted("an answer was lost")

    def _note(self, who: str, operation: str, subject: str, outcome: str) -> None:
        self.history.note(self.scheduler.now, who, operation, subject, outcome)
