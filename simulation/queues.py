"""Queues, the functions that Lambda feeds from them, and the calls of SQS that functions and operators make."""

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulation.faults import Fault, Faults
from simulation.scheduler import Scheduler
from simulation.wire import Wire


@dataclass
class Message:
    """receipt: of its last delivery. hidden_until: when it is delivered again, unless it is deleted."""

    message_id: str
    body: str
    receives: int = 0
    receipt: str = ""
    hidden_until: float = 0.0


class Queue:
    """deliveries: after so many a message goes to the dead letters. heard: is called when there may be something to receive."""

    def __init__(
        self,
        scheduler: Scheduler,
        name: str,
        *,
        visibility: float = 30.0,
        deliveries: int | None = None,
        dead_letters: "Queue | None" = None,
    ) -> None:
        self.name = name
        self.heard: Callable[[], None] = lambda: None
        self._scheduler = scheduler
        self._visibility = visibility
        self._deliveries = deliveries
        self._dead_letters = dead_letters
        self._visible: deque[Message] = deque()
        self._messages: dict[str, Message] = {}
        self._number = 0

    def __len__(self) -> int:
        """Hidden ones too."""
        return len(self._messages)

    def bodies(self) -> list[str]:
        return [message.body for message in self._messages.values()]

    def send(self, body: str, delay: float = 0.0) -> None:
        self._number += 1
        message = Message(f"{self.name}-{self._number}", body)
        self._messages[message.message_id] = message
        self._scheduler.after(delay, lambda: self._show(message))

    def receive(self, most: int) -> list[Message]:
        received: list[Message] = []
        while self._visible and len(received) < most:
            message = self._visible.popleft()
            if message.message_id not in self._messages:
                continue
            if self._deliveries is not None and message.receives >= self._deliveries:
                del self._messages[message.message_id]
                if self._dead_letters is not None:
                    self._dead_letters.send(message.body)
                continue
            message.receives += 1
            message.receipt = f"{message.message_id}/{message.receives}"
            message.hidden_until = self._scheduler.now + self._visibility
            self._scheduler.at(message.hidden_until, lambda message=message: self._show(message))  # type: ignore[misc]
            received.append(message)
        return received

    def delete(self, receipt: str) -> None:
        """Without effect where the message has been delivered again since."""
        message = self._messages.get(receipt.rpartition("/")[0])
        if message and message.receipt == receipt:
            del self._messages[message.message_id]

    def _show(self, message: Message) -> None:
        if message.message_id in self._messages and message.hidden_until <= self._scheduler.now:
            self._visible.append(message)
            self.heard()


class SQS:
    """A client. Queues are known by their names."""

    def __init__(self, wire: Wire, faults: Faults, queues: Mapping[str, Queue]) -> None:
        self._wire = wire
        self._faults = faults
        self._queues = queues

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        queue = self._queues[QueueUrl]

        def effect() -> dict[str, Any]:
            taken, refused = Entries, list[dict[str, str]]()
            if len(Entries) > 1 and self._faults.happens(Fault.BATCH_REFUSED_IN_PART):
                taken, refused = Entries[::2], Entries[1::2]
            for entry in taken:
                queue.send(entry["MessageBody"])
            answer: dict[str, Any] = {"Successful": [{"Id": entry["Id"]} for entry in taken]}
            if refused:
                answer["Failed"] = [{"Id": entry["Id"], "Code": "InternalError"} for entry in refused]
            return answer

        subject = f"{queue.name}: {' '.join(subject_of(entry['MessageBody']) for entry in Entries)}"
        return self._wire.call("sqs", "SendMessageBatch", subject, effect)

    def receive_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        MaxNumberOfMessages: int,  # noqa: N803
        WaitTimeSeconds: int,  # noqa: N803, ARG002
        VisibilityTimeout: int,  # noqa: N803, ARG002  # that of the fake queue is as good
    ) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            received = self._queues[QueueUrl].receive(MaxNumberOfMessages)
            messages = [{"MessageId": each.message_id, "Body": each.body, "ReceiptHandle": each.receipt} for each in received]
            return {"Messages": messages} if messages else {}

        return self._wire.call("sqs", "ReceiveMessage", QueueUrl, effect)

    def delete_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        def effect() -> dict[str, Any]:
            for entry in Entries:
                self._queues[QueueUrl].delete(entry["ReceiptHandle"])
            return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

        return self._wire.call("sqs", "DeleteMessageBatch", QueueUrl, effect)


def subject_of(body: str) -> str:
    """The job or the upload that a message is about, for the history."""
    message = json.loads(body)
    if "turn" in message:
        return str(message["turn"])
    if "inferenceId" in message:
        return str(message["inferenceId"])
    return str(message["detail"]["object"]["key"]) if "detail" in message else "-"
