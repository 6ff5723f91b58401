"""What an application does with the deployed product: upload, wait for the announcement, read the result. Plain boto3."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from boto3.exceptions import Boto3Error
from botocore.exceptions import ClientError

from local.deployment import Deployment
from local.embedded_aws import EmbeddedAws
from local.recordings import Recording
from whisperstack_contract.announcements import Announcement

_WAIT_SECONDS: Final = 2
# How often to look whether the pipeline has given up on something.
_CHECK_SECONDS: Final = 10.0


class PipelineStuckError(Exception):
    """Something that will never be announced; the message says what and where to look."""


@dataclass(frozen=True)
class Result:
    """The end of one recording: its announcement, or None and the reason why it could not even be uploaded.

    seconds: from the end of its upload to the announcement.
    """

    recording: Recording
    announcement: Announcement | None
    seconds: float = 0.0
    reason: str = ""


class Listener:
    """A queue subscribed to the announcements; made before the first upload, so that none is missed."""

    def __init__(self, aws: EmbeddedAws, deployment: Deployment) -> None:
        self._aws = aws
        sqs = aws.client("sqs")
        self._url: str = sqs.create_queue(QueueName="announcements-listener")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        aws.client("sns").subscribe(
            TopicArn=deployment.announcements_topic,
            Protocol="sqs",
            Endpoint=arn,
            Attributes={"RawMessageDelivery": "true"},
        )

    def receive(self) -> list[Announcement]:
        """Announcements that have come in since; waits up to two seconds for one."""
        sqs = self._aws.client("sqs")
        response = sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=_WAIT_SECONDS)
        messages = response.get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return [Announcement.from_json(message["Body"]) for message in messages]


def upload(aws: EmbeddedAws, deployment: Deployment, recording: Recording) -> str:
    """Upload one recording; returns the version that it became."""
    s3 = aws.client("s3")
    s3.upload_file(str(recording.path), deployment.audio_bucket, recording.key)
    return str(s3.head_object(Bucket=deployment.audio_bucket, Key=recording.key)["VersionId"])


def transcribe(
    aws: EmbeddedAws, deployment: Deployment, listener: Listener, recordings: Sequence[Recording]
) -> Iterator[Result]:
    """Upload all and yield each result as it is announced. Raises PipelineStuckError."""
    waiting: dict[tuple[str, str], tuple[Recording, float]] = {}
    for recording in recordings:
        try:
            version = upload(aws, deployment, recording)
        except (Boto3Error, ClientError, OSError) as error:
            # Those beside it go on.
            yield Result(recording, None, reason=str(error))
            continue
        waiting[recording.key, version] = (recording, time.monotonic())
    checked = time.monotonic()
    while waiting:
        for announcement in listener.receive():
            source = announcement.source
            # Announced at least once: a repeat finds nothing waiting.
            if found := waiting.pop((source.key, source.version_id), None):
                yield Result(found[0], announcement, time.monotonic() - found[1])
        if time.monotonic() - checked > _CHECK_SECONDS:
            checked = time.monotonic()
            raise_if_stuck(aws)


def read_object(aws: EmbeddedAws, deployment: Deployment, key: str) -> str:
    body = aws.client("s3").get_object(Bucket=deployment.transcripts_bucket, Key=key)["Body"]
    return str(body.read().decode("utf-8"))


def raise_if_stuck(aws: EmbeddedAws) -> None:
    """A message in a dead-letter queue is one that nobody will try again."""
    sqs = aws.client("sqs")
    names = ["RedrivePolicy", "QueueArn"]
    for url in sqs.list_queues().get("QueueUrls", []):
        attributes: dict[str, Any] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        if "RedrivePolicy" not in attributes:
            continue
        dead_letters = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"].rsplit(":", 1)[1]
        dead_url = sqs.get_queue_url(QueueName=dead_letters)["QueueUrl"]
        count = sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["ApproximateNumberOfMessages"])
        if int(count["Attributes"]["ApproximateNumberOfMessages"]):
            raise PipelineStuckError(
                f"a message of {url.rsplit('/', 1)[1]} failed too often and lies in {dead_letters}; see {aws.surroundings.logs}"
            )
