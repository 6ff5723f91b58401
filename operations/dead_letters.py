"""Dead letters, sent again to where they came from: an event or a notification whose every delivery failed, or never began.

Every message may come twice, so sending is first and deleting after: whoever is cut off in between can simply do it again.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import boto3

from operations.deployment import stack_outputs

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Source: SQS API, ReceiveMessage and SendMessageBatch.
_BATCH: Final = 10
# Asking without waiting looks at some of SQS's servers only, and can find nothing where there is something.
_WAIT_SECONDS: Final = 1
# Until another can take what was received and not deleted.
_HIDDEN_SECONDS: Final = 60


class DeadLetters(StrEnum):
    """Which dead letters: uploads that the submitting function failed on, or EventBridge could not deliver; results that the
    recording function failed on, or SNS and EventBridge could not deliver."""

    INTAKE = "intake"
    EVENTS = "events"
    RESULTS = "results"
    NOTIFICATIONS = "notifications"


# From each to the queue in which its messages belong, by the outputs of the asynchronous stack.
_OUTPUTS: Final = {
    DeadLetters.INTAKE: ("IntakeDeadLettersUrl", "IntakeQueueUrl"),
    DeadLetters.EVENTS: ("EventsDeadLettersUrl", "IntakeQueueUrl"),
    DeadLetters.RESULTS: ("ResultsDeadLettersUrl", "ResultsQueueUrl"),
    DeadLetters.NOTIFICATIONS: ("NotificationsDeadLettersUrl", "ResultsQueueUrl"),
}


def redrive_dead_letters(environment: str, which: DeadLetters, *, dry_run: bool) -> Iterator[str]:
    """What was done, in a few words, as it goes on. Raises OperationsError where the environment is not deployed."""
    outputs = stack_outputs(boto3.client("cloudformation"), f"Whisperstack-{environment}-Asynchronous")
    dead, alive = (outputs[name] for name in _OUTPUTS[which])
    sqs = boto3.client("sqs")
    if dry_run:
        yield f"about {count(sqs, dead)} messages of {which} would be sent again"
        return
    done = 0
    for sent in send_again(sqs, dead, alive):
        done += sent
        yield f"{done} messages of {which} sent again"
    if not done:
        yield f"there are no messages of {which}"


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
