"""What the results queue holds: what SageMaker publishes on the endpoint's topics, and deletions in the audio bucket.

SageMaker's messages are told apart by `invocationStatus` and `inferenceId` alone.
Everything else in a message is a hint: fields come and go between releases, so one that is missing or odd is None.
"""

import json
from dataclasses import dataclass
from typing import Any

from whisperstack_contract.jobs import parse_inference_id


@dataclass(frozen=True)
class Completed:
    """The model answered. output_location: s3 URI."""

    job_id: str
    attempt: int
    output_location: str | None


@dataclass(frozen=True)
class Failed:
    """The model, or SageMaker, gave up. failure_location: s3 URI; reason: SageMaker's words, empty where it has none."""

    job_id: str
    attempt: int
    failure_location: str | None
    reason: str


@dataclass(frozen=True)
class EndpointTest:
    """Published whenever an endpoint is created or updated."""


@dataclass(frozen=True)
class ForeignResult:
    """The result of a request that Whisperstack did not send."""


@dataclass(frozen=True)
class Deletion:
    """A version of an upload, or a delete marker, is gone or new: another version may be the current one."""

    bucket: str
    key: str


def parse_notification(body: str) -> Completed | Failed | EndpointTest | ForeignResult | Deletion:
    """Raises ValueError for what is neither a notification of an asynchronous endpoint nor a deletion."""
    try:
        message: Any = json.loads(body)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise ValueError(  # noqa: TRY004  # the queue's data is wrong, not a caller's argument
            "the message is no JSON object; only the endpoint's topics may feed the results queue"
        )
    if message.get("Type") == "Notification" and "TopicArn" in message:
        # Taken for a test message, every result would be acknowledged unread.
        raise ValueError("the message is in an SNS envelope; turn on raw message delivery in the subscription")
    if message.get("detail-type") == "Object Deleted":
        return _deletion(message)
    if "invocationStatus" not in message:
        return EndpointTest()
    return _result(message)


def _result(message: dict[str, Any]) -> Completed | Failed | ForeignResult:
    identity = parse_inference_id(_text(message.get("inferenceId")) or "")
    if identity is None:
        return ForeignResult()
    parameters = message.get("responseParameters")
    places = {**message, **parameters} if isinstance(parameters, dict) else message
    match message["invocationStatus"]:
        case "Completed":
            return Completed(*identity, _text(places.get("outputLocation")))
        case "Failed":
            return Failed(*identity, _text(places.get("failureLocation")), _text(message.get("failureReason")) or "")
        case status:
            raise ValueError(f"invocationStatus is {status!r}; known are 'Completed' and 'Failed'")


def _deletion(message: dict[str, Any]) -> Deletion:
    """Source: Amazon S3 user guide, "EventBridge event message structure"."""
    try:
        return Deletion(str(message["detail"]["bucket"]["name"]), str(message["detail"]["object"]["key"]))
    except (KeyError, TypeError) as error:
        raise ValueError("the message is no S3 event of a deletion; check what feeds the results queue") from error


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
