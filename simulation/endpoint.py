"""SageMaker's asynchronous endpoint: a queue, instances that come and go, and workers that die."""

import json
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any, Final

from simulation.faults import Fault, Faults
from simulation.queues import Queue
from simulation.recordings import BYTES_A_SECOND, Kind, Recording, transcript_of
from simulation.scheduler import Scheduler
from simulation.stored_objects import Bucket
from simulation.wire import Outages, Wire, client_error
from whisperstack_contract.errors import TranscriptionError
from whisperstack_contract.keys import FAILURES_PREFIX, RAW_PREFIX

_TICK_SECONDS: Final = 60.0
_START_SECONDS: Final = (300.0, 900.0)
_NO_CAPACITY_SECONDS: Final = (3600.0, 10 * 3600.0)
_IDLE_SECONDS: Final = 600.0
_BACKLOG_AN_INSTANCE: Final = 3
_LATE_SECONDS: Final = 8 * 3600


class Status(StrEnum):
    """SageMaker's own words."""

    IN_SERVICE = "InService"
    UPDATING = "Updating"
    FAILED = "Failed"


@dataclass
class Request:
    """at: when it came, seconds since 1970. ttl, timeout: seconds."""

    inference_id: str
    staged_key: str
    output_key: str
    failure_key: str
    at: float
    ttl: int
    timeout: int


@dataclass
class Instance:
    working_on: Request | None = None
    is_lost: bool = False


@dataclass
class Endpoint:
    """resolve: from a staged key to what lies there. invocations, failures: by job, for the invariants."""

    scheduler: Scheduler
    faults: Faults
    outages: Outages
    wire: Wire
    random: Random
    audio: Bucket
    transcripts: Bucket
    results: Queue
    most_instances: int
    status: Status = Status.IN_SERVICE
    invocations: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    vanished: Counter[str] = field(default_factory=Counter)
    waiting: deque[Request] = field(default_factory=deque)
    instances: list[Instance] = field(default_factory=list)
    _starting: bool = False
    _ticking: bool = False
    _idle_since: float | None = None
    _number: int = 0

    # --- the client -----------------------------------------------------------------------------------------------------------

    def invoke_endpoint_async(
        self,
        *,
        EndpointName: str,  # noqa: N803
        InputLocation: str,  # noqa: N803
        InferenceId: str,  # noqa: N803
        ContentType: str,  # noqa: N803, ARG002
        CustomAttributes: str,  # noqa: N803, ARG002
        InvocationTimeoutSeconds: int,  # noqa: N803
        RequestTTLSeconds: int,  # noqa: N803
        S3OutputPathExtension: str,  # noqa: N803
        Filename: str,  # noqa: N803
    ) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            if self.status is Status.FAILED:
                raise client_error("InvokeEndpointAsync", "ValidationError", 400, f"endpoint {EndpointName} is not in service")
            self._number += 1
            self.invocations[InferenceId.partition("-")[0]] += 1
            request = Request(
                InferenceId,
                InputLocation.removeprefix(f"s3://{self.audio.name}/"),
                f"{RAW_PREFIX}{S3OutputPathExtension}/{Filename}",
                f"{FAILURES_PREFIX}{self._number}-error.out",
                self.scheduler.now,
                RequestTTLSeconds,
                InvocationTimeoutSeconds,
            )
            self.waiting.append(request)
            self._tick_from_now_on()
            self.scheduler.after(0, self._work)
            return {
                "InferenceId": InferenceId,
                "OutputLocation": f"s3://{self.transcripts.name}/{request.output_key}",
                "FailureLocation": f"s3://{self.transcripts.name}/{request.failure_key}",
            }

        return self.wire.call("sagemaker", "InvokeEndpointAsync", InferenceId, effect)

    # --- instances ------------------------------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        return not self.waiting and all(instance.working_on is None for instance in self.instances)

    def change(self, status: Status) -> None:
        """A deployment or a breakdown: instances are replaced, and what they were working on is gone."""
        self.status = status
        if status is Status.IN_SERVICE:
            self._notify({"eventName": "Test message"})
            self.faults.happened(Fault.ENDPOINT_TEST_MESSAGE)
            self._tick_from_now_on()
        for instance in list(self.instances):
            self._lose(instance)

    def _tick_from_now_on(self) -> None:
        if not self._ticking:
            self._ticking = True
            self.scheduler.after(0, self._tick)

    def _tick(self) -> None:
        """Scaling: from zero when something waits, up on backlog, to zero when nothing has been there for ten minutes."""
        backlog = len(self.waiting) + sum(instance.working_on is not None for instance in self.instances)
        self._expire()
        if backlog:
            self._idle_since = None
            wanted = min(self.most_instances, 1 + backlog // _BACKLOG_AN_INSTANCE)
            if len(self.instances) < wanted and not self._starting and self.status is Status.IN_SERVICE:
                self._start()
        elif self._idle_since is None:
            self._idle_since = self.scheduler.now
        elif self.scheduler.now - self._idle_since >= _IDLE_SECONDS:
            self.instances.clear()
        self._ticking = bool(backlog or self.instances or self._starting)
        if self._ticking:
            self.scheduler.after(_TICK_SECONDS, self._tick)

    def _start(self) -> None:
        self._starting = True
        span = _START_SECONDS
        if not self.instances and self.faults.happens(Fault.ENDPOINT_STARTS_SLOWLY):
            span = _NO_CAPACITY_SECONDS
        self.scheduler.after(self.random.uniform(*span), self._started)

    def _started(self) -> None:
        self._starting = False
        if self.status is Status.IN_SERVICE:
            self.instances.append(Instance())
        self._work()

    def _lose(self, instance: Instance) -> None:
        if instance.is_lost:
            return
        instance.is_lost = True
        self.instances.remove(instance)
        if instance.working_on:
            self._vanish(instance.working_on, "lost with its instance")

    # --- requests -------------------------------------------------------------------------------------------------------------

    def _expire(self) -> None:
        # All have the same time to live.
        while self.waiting and self.waiting[0].at + self.waiting[0].ttl <= self.scheduler.now:
            request = self.waiting.popleft()
            if self.faults.happens(Fault.REQUEST_EXPIRED_LOUDLY):
                self._fail(request, "Request expired: it exceeded its time to live in the queue", None, counts=False)
                self._vanish(request, "expired, loudly")
            else:
                self.faults.happened(Fault.REQUEST_EXPIRED_SILENTLY)
                self._vanish(request, "expired, silently")

    def _work(self) -> None:
        self._expire()
        for instance in self.instances:
            if not self.waiting:
                return
            if instance.working_on is None:
                instance.working_on = request = self.waiting.popleft()
                self._note(request, "begins", "")
                self._begin(instance, request)

    def _begin(self, instance: Instance, request: Request) -> None:
        staged = self.audio.current(request.staged_key)
        if staged is None:
            self._after(1, instance, lambda: self._fail(request, "the input could not be downloaded", None))
            return
        recording = Recording.from_bytes(staged.body)
        seconds = max(1.0, staged.size / BYTES_A_SECOND)
        busy = seconds * self.random.uniform(0.2, 1.2)
        if recording.kind is Kind.POISON or self.faults.happens(Fault.WORKER_DIED_SILENTLY):
            self._after(busy, instance, lambda: self._vanish(request, "its worker died"))
        elif self.faults.happens(Fault.WORKER_DIED_LOUDLY):
            self._after(busy, instance, lambda: self._fail(request, "ServerError: the worker died", None))
        elif self.faults.happens(Fault.INSTANCE_LOST):
            self.scheduler.after(busy, lambda: self._lose(instance))
        elif busy > request.timeout:
            self._after(request.timeout, instance, lambda: self._fail(request, "ServerError: the model timed out", None))
        else:
            self._after(busy, instance, lambda: self._answer(request, recording, seconds))

    def _after(self, seconds: float, instance: Instance, ending: Callable[[], None]) -> None:
        def end() -> None:
            if not instance.is_lost:
                instance.working_on = None
                ending()
                self._work()

        self.scheduler.after(seconds, end)

    def _answer(self, request: Request, recording: Recording, seconds: float) -> None:
        try:
            if self.faults.happens(Fault.MODEL_FAILED):
                recording = Recording(Kind.SICK, recording.number)
            transcript = transcript_of(recording, seconds)
        except TranscriptionError as error:
            self._fail(request, "ClientError: Received client error from model.", error.document().to_json())
            return
        if self.outages.is_out("s3"):
            self._vanish(request, "its output could not be written")
            return
        self.transcripts.put(request.output_key, transcript.to_json().encode())
        self._note(request, "answers", recording.text)
        location = f"s3://{self.transcripts.name}/{request.output_key}"
        self._notify(
            {
                **_notification(request),
                "invocationStatus": "Completed",
                "responseParameters": {"contentType": "application/json", "outputLocation": location},
            }
        )

    def _fail(self, request: Request, reason: str, document: str | None, *, counts: bool = True) -> None:
        self._note(request, "fails", reason)
        self.failures[request.inference_id.partition("-")[0]] += counts
        message = {**_notification(request), "invocationStatus": "Failed", "failureReason": reason}
        if document and not self.outages.is_out("s3"):
            self.transcripts.put(request.failure_key, document.encode())
            message["responseParameters"] = {"failureLocation": f"s3://{self.transcripts.name}/{request.failure_key}"}
        self._notify(message)

    def _vanish(self, request: Request, how: str) -> None:
        self.vanished[request.inference_id.partition("-")[0]] += 1
        self._note(request, "vanishes", how)

    def _notify(self, message: dict[str, Any]) -> None:
        """By way of SNS to the results queue."""
        if self.faults.happens(Fault.NOTIFICATION_LOST):
            return
        body = json.dumps(message)
        for _ in range(1 + self.faults.happens(Fault.NOTIFICATION_DOUBLED)):
            delay = self.random.uniform(0.05, 2)
            if self.faults.happens(Fault.NOTIFICATION_LATE):
                delay = self.faults.lateness(self.scheduler.now, _LATE_SECONDS)
            if self.outages.is_out("sns") or self.outages.is_out("sqs"):
                delay += max(self.outages.end_of("sns"), self.outages.end_of("sqs")) - self.scheduler.now
            self.results.send(body, delay)

    def _note(self, request: Request, what: str, outcome: str) -> None:
        self.wire.history.note(self.scheduler.now, "endpoint", what, request.inference_id, outcome)


def _notification(request: Request) -> dict[str, Any]:
    """What success and failure have in common, as captured from a real endpoint."""
    return {
        "awsRegion": "us-east-1",
        "requestParameters": {"endpointName": "whisper", "inputLocation": request.staged_key},
        "inferenceId": request.inference_id,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
