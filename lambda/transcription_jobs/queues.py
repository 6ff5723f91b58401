"""Messages to the functions that do the work, ten to a call."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Source: SQS API, SendMessageBatch.
_BATCH: Final = 10


class UnsentError(Exception):
    """SQS took only some of a batch. The next run finds the others where this one did."""


def send(sqs: "SQSClient", queue: str, bodies: Sequence[str]) -> None:
    """Raises UnsentError."""
    for start in range(0, len(bodies), _BATCH):
        batch = bodies[start : start + _BATCH]
        response = sqs.send_message_batch(
            QueueUrl=queue, Entries=[{"Id": str(number), "MessageBody": body} for number, body in enumerate(batch)]
        )
        if refused := response.get("Failed"):
            raise UnsentError(f"SQS refused {len(refused)} of {len(batch)} messages ({refused[0].get('Code')})")
