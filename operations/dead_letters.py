"""Dead letters, sent again to where they came from: an event or a notification whose every delivery failed, or never began.

Every message may come twice, so sending is first and deleting after: whoever is cut off in between can simply do it again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Source: SQS API, ReceiveMessage and SendMessageBatch.
_BATCH: Final = 10
# Asking without waiting looks at some of SQS's servers only, and can find nothing where there is something.
_WAIT_SECONDS: Final = 1
# Until another can take what was received and not deleted.
_HIDDEN_SECONDS: Final = 60


@dataclass(frozen=True)
class DeadLetters:
    """A queue of dead letters and the queue that they were meant for, by their outputs' names, and what lands there."""

    dead: str
    alive: str
    meaning: str


# Under the names that the command takes.
DEAD_LETTERS: Final = {
    "intake": DeadLetters("IntakeDeadLettersUrl", "IntakeQueueUrl", "uploads that the submitting function failed on"),
    "events": DeadLetters("EventsDeadLettersUrl", "IntakeQueueUrl", "uploads that EventBridge could not deliver"),
    "results": DeadLetters("ResultsDeadLettersUrl", "ResultsQueueUrl", "results that the recording function failed on"),
    "notifications": DeadLetters("NotificationsDeadLettersUrl", "ResultsQueueUrl", "results that were not delivered"),
}


def count(sqs: "SQSClient", queue: str) -> int:
    """About how many messages there are."""
    answer = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def send_again(sqs: "SQSClient", dead: str, alive: str) -> Iterator[int]:
    """Moves every message, by the queues' URLs; tells after each batch how many it was. What SQS refuses stays."""
    while messages := _receive(sqs, dead):
        entries: Any = [{"Id": str(number), "MessageBody": message["Body"]} for number, message in enumerate(messages)]
        sent = sqs.send_message_batch(QueueUrl=alive, Entries=entries)["Successful"]
        receipts: Any = [{"Id": each["Id"], "ReceiptHandle": messages[int(each["Id"])]["ReceiptHandle"]} for each in sent]
        if receipts:
            sqs.delete_message_batch(QueueUrl=dead, Entries=receipts)
        yield len(receipts)


def _receive(sqs: "SQSClient", queue: str) -> list[Any]:
    answer = sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=_BATCH, WaitTimeSeconds=_WAIT_SECONDS, VisibilityTimeout=_HIDDEN_SECONDS
    )
    return list(answer.get("Messages", []))
