"""What carries news: EventBridge from S3 to the queues, and SNS from the pipeline to its users."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from simulation.faults import Fault, Faults
from simulation.queues import Queue
from simulation.scheduler import Scheduler, current_process
from simulation.stored_objects import Bucket, Version
from simulation.wire import Outages, Wire
from whisperstack_contract.announcements import Announcement
from whisperstack_contract.keys import INCOMING_PREFIX

_LATE_SECONDS: Final = 12 * 3600
# Then an event that cannot be delivered goes to the rule's dead letters. Source: EventBridge user guide, retry policy.
_RETRIED_SECONDS: Final = 24 * 3600


@dataclass
class EventBridge:
    """Two rules: what is created below incoming/ goes to the intake queue, what is deleted there to the results queue."""

    scheduler: Scheduler
    faults: Faults
    outages: Outages
    queues: dict[str, tuple[Queue, Queue | None]]

    def hear(self, bucket: Bucket) -> None:
        bucket.heard = lambda event, version: self._emit(bucket.name, event, version)

    def _emit(self, bucket: str, event: str, version: Version) -> None:
        if not version.key.startswith(INCOMING_PREFIX):
            return
        if event == "Object Created" and self.faults.happens(Fault.UPLOAD_EVENT_LOST):
            return
        body = _event(bucket, event, version)
        self._deliver(event, body)
        if self.faults.happens(Fault.EVENT_DOUBLED):
            self._deliver(event, body)

    def _deliver(self, event: str, body: str) -> None:
        queue, undelivered = self.queues[event]
        if self.faults.happens(Fault.EVENT_UNDELIVERABLE):
            if undelivered is not None:
                undelivered.send(body, _RETRIED_SECONDS)
            return
        delay = self.faults.random.uniform(0.1, 3)
        if self.faults.happens(Fault.EVENT_LATE):
            delay = self.faults.lateness(self.scheduler.now, _LATE_SECONDS)
        if self.outages.is_out("sqs"):
            delay += self.outages.end_of("sqs") - self.scheduler.now
        queue.send(body, delay)


def _event(bucket: str, event: str, version: Version) -> str:
    """Source: Amazon S3 user guide, "EventBridge event message structure"."""
    changed: dict[str, Any] = {"key": version.key, "version-id": version.version_id}
    if event == "Object Created":
        changed["size"] = version.size
    return json.dumps({"source": "aws.s3", "detail-type": event, "detail": {"bucket": {"name": bucket}, "object": changed}})


@dataclass
class Publication:
    """One copy of an announcement. cut_off: what kept its publisher from noting it; None where it did."""

    announcement: Announcement
    at: float
    who: str
    cut_off: str | None = None


@dataclass
class SNS:
    """A client, and what the topic's subscribers have heard."""

    wire: Wire
    heard: list[Publication] = field(default_factory=list)

    def publish(self, *, TopicArn: str, Message: str, MessageAttributes: Any) -> dict[str, Any]:  # noqa: N803, ARG002
        announcement = Announcement.from_json(Message)

        def effect() -> dict[str, Any]:
            process = current_process()
            publication = Publication(announcement, self.wire.scheduler.now, process.name)
            self.heard.append(publication)

            def interrupted(reason: str) -> None:
                publication.cut_off = reason

            process.interrupted = interrupted
            return {"MessageId": str(len(self.heard))}

        return self.wire.call("sns", "Publish", announcement.event_id, effect)


def noted() -> None:
    """The process that runs has noted its announcement: from now on nothing excuses a repeat."""
    current_process().interrupted = lambda _reason: None
