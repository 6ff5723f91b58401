"""Every fault that a world can have: what it is, what AWS says about it, what the pipeline does, and which test shows that.

docs/reliability.md is written from this list, and a test checks that each fault has really happened in the simulation.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final


class Fault(StrEnum):
    """The names under which they are drawn and counted."""

    UPLOAD_EVENT_LOST = "upload event lost"
    EVENT_DOUBLED = "event doubled"
    EVENT_LATE = "event late"
    EVENT_UNDELIVERABLE = "event undeliverable"
    MESSAGE_REPEATED = "message repeated"
    FUNCTION_REFUSED = "function refused"
    CRASH_BEFORE_CALL = "crash before a call"
    CRASH_AFTER_CALL = "crash after a call"
    CALL_SLOW = "call slow"
    CALL_THROTTLED = "call throttled"
    ANSWER_LOST = "answer lost"
    WRITE_CONFLICT = "conditional write conflict"
    BATCH_REFUSED_IN_PART = "batch refused in part"
    INDEX_LATE = "index late"
    CLOCK_SKEWED = "clock skewed"
    OUTAGE_S3 = "outage of S3"
    OUTAGE_DYNAMODB = "outage of DynamoDB"
    OUTAGE_SQS = "outage of SQS"
    OUTAGE_SNS = "outage of SNS"
    OUTAGE_SAGEMAKER = "outage of SageMaker's runtime"
    OUTAGE_LAMBDA = "outage of Lambda"
    ENDPOINT_STARTS_SLOWLY = "endpoint at zero"
    ENDPOINT_UPDATING = "endpoint updating"
    ENDPOINT_FAILED = "endpoint failed"
    REQUEST_EXPIRED_SILENTLY = "request expired, silently"
    REQUEST_EXPIRED_LOUDLY = "request expired, with a notification"
    WORKER_DIED_SILENTLY = "worker died, silently"
    WORKER_DIED_LOUDLY = "worker died, with a notification"
    INSTANCE_LOST = "instance lost"
    MODEL_FAILED = "model failed"
    NOTIFICATION_LOST = "notification lost"
    NOTIFICATION_DOUBLED = "notification doubled"
    NOTIFICATION_LATE = "notification late"
    ENDPOINT_TEST_MESSAGE = "test message of the endpoint"
    OVERWRITTEN_WHILE_QUEUED = "overwritten while queued"
    DELETED = "deleted"
    VERSION_DELETED_FOR_GOOD = "version deleted for good"
    RESTORED = "restored"


# How often each happens where a world has it: a probability for each occasion. Those of the users, of the endpoint's states and
# of outages are drawn by those parts themselves.
_MOST: Final = {
    Fault.UPLOAD_EVENT_LOST: 0.1,
    Fault.EVENT_DOUBLED: 0.2,
    Fault.EVENT_LATE: 0.2,
    Fault.EVENT_UNDELIVERABLE: 0.05,
    Fault.MESSAGE_REPEATED: 0.05,
    Fault.FUNCTION_REFUSED: 0.1,
    Fault.CRASH_BEFORE_CALL: 0.02,
    Fault.CRASH_AFTER_CALL: 0.02,
    Fault.CALL_SLOW: 0.05,
    Fault.CALL_THROTTLED: 0.03,
    Fault.ANSWER_LOST: 0.02,
    Fault.WRITE_CONFLICT: 0.1,
    Fault.BATCH_REFUSED_IN_PART: 0.9,
    Fault.INDEX_LATE: 0.5,
    Fault.CLOCK_SKEWED: 0.5,
    Fault.REQUEST_EXPIRED_LOUDLY: 0.5,
    Fault.WORKER_DIED_SILENTLY: 0.1,
    Fault.WORKER_DIED_LOUDLY: 0.1,
    Fault.INSTANCE_LOST: 0.05,
    Fault.MODEL_FAILED: 0.1,
    Fault.NOTIFICATION_LOST: 0.2,
    Fault.NOTIFICATION_DOUBLED: 0.2,
    Fault.NOTIFICATION_LATE: 0.2,
    Fault.OVERWRITTEN_WHILE_QUEUED: 0.5,
    Fault.DELETED: 0.2,
    Fault.VERSION_DELETED_FOR_GOOD: 0.2,
    Fault.RESTORED: 0.5,
}

# Worlds with everything at once hide what only shows where one thing goes wrong and the rest works.
# Source: Groce et al. 2012, "Swarm testing".
_SHARE_OF_WORLDS: Final = 0.5

_SHARE_LET_GO_AT_ONCE: Final = 0.5
_AT_ONCE_EVERY: Final = 1800.0


@dataclass
class Faults:
    """The faults of one world. rates: of those that it has. counts: of what has happened."""

    random: Random
    rates: dict[Fault, float]
    counts: Counter[Fault]
    over: bool = False

    @classmethod
    def draw(cls, random: Random) -> "Faults":
        rates = {}
        for fault in Fault:
            if random.random() < _SHARE_OF_WORLDS:
                # From seldom to often, evenly by order of magnitude.
                rates[fault] = _MOST.get(fault, 1.0) * 10 ** -random.uniform(0, 1.5)
        return cls(random, rates, Counter())

    def has(self, fault: Fault) -> bool:
        return fault in self.rates and not self.over

    def happens(self, fault: Fault) -> bool:
        """Whether it does now. Counts it."""
        rate = self.rates.get(fault)
        if rate is None or self.over or self.random.random() >= rate:
            return False
        self.counts[fault] += 1
        return True

    def lateness(self, now: float, most: float) -> float:
        """Seconds that news is late. What is held up is often let go all at once, which is where functions meet."""
        late = self.random.uniform(0, most)
        if self.random.random() < _SHARE_LET_GO_AT_ONCE:
            late = max(late - (now + late) % _AT_ONCE_EVERY, 0)
        return late + self.random.uniform(0, 0.3)

    def happened(self, fault: Fault) -> None:
        self.counts[fault] += 1
