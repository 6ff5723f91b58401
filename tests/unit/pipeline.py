"""The parts of AWS around the two functions, as moto plays them, and events as AWS sends them."""

import json
import uuid
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import boto3

from whisperstack_contract import keys, variables
from whisperstack_contract.announcements import Announcement
from whisperstack_contract.batch_limits import BatchLimits
from whisperstack_contract.job_table import ActiveFor
from whisperstack_contract.job_times import JobTimes
from whisperstack_contract.jobs import SourceVersion, inference_id, job_id
from whisperstack_contract.receipt import Instances
from whisperstack_contract.transcript import AudioFacts, Provenance, Segment, Transcript

AUDIO_BUCKET = "audio"
TRANSCRIPTS_BUCKET = "transcripts"
TABLE = "jobs"
ENDPOINT = "whisper"
REGION = "us-east-1"
# One failure is the end, where a test does not ask for more.
TIMES = JobTimes(invocation_timeout=1800, attempts=1)

CONTEXT = SimpleNamespace(
    aws_request_id="request",
    function_name="function",
    memory_limit_in_mb=128,
    get_remaining_time_in_millis=lambda: 300_000,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:function",
)


@dataclass
class Pipeline:
    """Clients of their own, so that a test can break those of the functions."""

    s3: Any = field(default_factory=lambda: boto3.client("s3"))
    dynamodb: Any = field(default_factory=lambda: boto3.client("dynamodb"))
    sns: Any = field(default_factory=lambda: boto3.client("sns"))
    sqs: Any = field(default_factory=lambda: boto3.client("sqs"))

    def __post_init__(self) -> None:
        for bucket in (AUDIO_BUCKET, TRANSCRIPTS_BUCKET):
            self.s3.create_bucket(Bucket=bucket)
            self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        _create_job_table(self.dynamodb)
        self.topic = self.sns.create_topic(Name="announcements")["TopicArn"]
        self.intake = self.sqs.create_queue(QueueName="intake")["QueueUrl"]
        self.results = self.sqs.create_queue(QueueName="results")["QueueUrl"]
        self.batch_topic = self.sns.create_topic(Name="batches")["TopicArn"]
        self.queue = self.sqs.create_queue(QueueName="user")["QueueUrl"]
        queue_arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"})

    @property
    def environment(self) -> dict[str, str]:
        return {
            variables.JOB_TABLE: TABLE,
            variables.AUDIO_BUCKET: AUDIO_BUCKET,
            variables.TRANSCRIPTS_BUCKET: TRANSCRIPTS_BUCKET,
            variables.ENDPOINT_NAME: ENDPOINT,
            variables.ANNOUNCEMENTS_TOPIC: self.topic,
            variables.DEFAULT_OPTIONS: '{"language": "en"}',
            variables.PROMPTS_FROM_METADATA: "false",
            variables.JOB_TIMES: TIMES.to_json(),
            variables.ENDPOINT_SLOTS: "3",
            variables.INSTANCES: Instances("ml.g5.xlarge", 1, 1.408, "2026-11-22").to_json(),
            variables.INTAKE_QUEUE: self.intake,
            variables.RESULTS_QUEUE: self.results,
            variables.MODEL_DIGEST: "d" * 64,
            variables.BATCH_LIMITS: BatchLimits(payload_mib=1, concurrency=4, shard_mib=1).to_json(),
            variables.BATCH_JOB_PREFIX: "whisperstack-test",
            variables.BATCH_TOPIC: self.batch_topic,
            variables.LEFTOVERS: "true",
        }

    def upload(self, key: str, body: bytes = b"audio", **headers: str) -> SourceVersion:
        version = self.s3.put_object(Bucket=AUDIO_BUCKET, Key=key, Body=body, **headers)["VersionId"]
        return SourceVersion(AUDIO_BUCKET, key, version)

    def row(self, source: SourceVersion) -> dict[str, Any]:
        row = self.row_if_there(source)
        assert row
        return row

    def row_if_there(self, source: SourceVersion) -> dict[str, Any]:
        key = {"pk": {"S": job_id(source)}}
        item = self.dynamodb.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item", {})
        return {name: next(iter(value.values())) for name, value in item.items()}

    def change_row(self, source: SourceVersion, **changes: dict[str, Any]) -> None:
        self.dynamodb.update_item(
            TableName=TABLE,
            Key={"pk": {"S": job_id(source)}},
            AttributeUpdates={name: {"Action": "PUT", "Value": value} for name, value in changes.items()},
        )

    def jobs(self) -> int:
        return sum("source_key" in item for item in self.dynamodb.scan(TableName=TABLE)["Items"])

    def active_jobs(self) -> list[str]:
        found = []
        for what in ActiveFor:
            found += self.dynamodb.query(
                TableName=TABLE,
                IndexName="active-by-deadline",
                KeyConditionExpression="active = :active",
                ExpressionAttributeValues={":active": {"S": what.value}},
            )["Items"]
        return [item["pk"]["S"] for item in found]

    def make_due(self, source: SourceVersion) -> None:
        """Lets the time pass until someone should look after the job."""
        self.change_row(source, deadline={"N": "1"})

    def keys(self, bucket: str, prefix: str = "") -> set[str]:
        return {entry["Key"] for entry in self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])}

    def body(self, key: str, bucket: str = TRANSCRIPTS_BUCKET) -> str:
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()

    def announcements(self) -> list[tuple[Announcement, dict[str, str]]]:
        """What a user's queue has received since the last call: message and attributes."""
        received = []
        while batch := self.sqs.receive_message(
            QueueUrl=self.queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=0
        ).get("Messages"):
            for message in batch:
                attributes = {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}
                received.append((Announcement.from_json(message["Body"]), attributes))
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return received

    def received(self, queue: str) -> list[str]:
        """The bodies in a queue, which is empty then."""
        bodies = []
        while batch := self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages"):
            for message in batch:
                bodies.append(message["Body"])
                self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def endpoint_answers(self, source: SourceVersion, body: bytes, attempt: int = 1) -> str:
        """What the endpoint writes; gives its location."""
        key = f"{keys.RAW_PREFIX}{keys.raw_extension(job_id(source), attempt)}/{keys.RAW_FILENAME}"
        self.s3.put_object(Bucket=TRANSCRIPTS_BUCKET, Key=key, Body=body)
        return f"s3://{TRANSCRIPTS_BUCKET}/{key}"


def _create_job_table(dynamodb: Any) -> None:
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "active", "AttributeType": "S"},
            {"AttributeName": "deadline", "AttributeType": "N"},
            {"AttributeName": "ended", "AttributeType": "S"},
            {"AttributeName": "ended_at", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "active-by-deadline",
                "KeySchema": [
                    {"AttributeName": "active", "KeyType": "HASH"},
                    {"AttributeName": "deadline", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["received_at", "work_seconds"]},
            },
            {
                "IndexName": "ended-by-time",
                "KeySchema": [
                    {"AttributeName": "ended", "KeyType": "HASH"},
                    {"AttributeName": "ended_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
        ],
    )


def sqs_event(*bodies: str | dict[str, Any]) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": str(uuid.uuid4()),
                "receiptHandle": "handle",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:queue",
                "awsRegion": REGION,
            }
            for body in bodies
        ]
    }


def object_created(source: SourceVersion, size: int = 5) -> dict[str, Any]:
    """Source: Amazon S3 user guide, "EventBridge event message structure"."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "123456789012",
        "time": "2026-11-22T10:00:00Z",
        "region": REGION,
        "resources": [f"arn:aws:s3:::{source.bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": source.bucket},
            "object": {
                "key": source.key,
                "size": size,
                "etag": "b1946ac92492d2347c6235b4d2611184",
                "version-id": source.version_id,
                "sequencer": "00617F08299329D189",
            },
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "reason": "PutObject",
        },
    }


def completed(source: SourceVersion, output_location: str, attempt: int = 1) -> dict[str, Any]:
    return {
        **_notification(source, attempt),
        "invocationStatus": "Completed",
        "responseParameters": {"contentType": "application/json", "outputLocation": output_location},
    }


def failed(source: SourceVersion, reason: str = "the worker died", attempt: int = 1, **more: str) -> dict[str, Any]:
    return {**_notification(source, attempt), "invocationStatus": "Failed", "failureReason": reason, **more}


def _notification(source: SourceVersion, attempt: int) -> dict[str, Any]:
    job = job_id(source)
    return {
        "awsRegion": REGION,
        "eventTime": "2026-11-22T10:00:05.000Z",
        "receivedTime": "2026-11-22T10:00:00.000Z",
        "requestParameters": {"endpointName": ENDPOINT, "inputLocation": f"s3://{AUDIO_BUCKET}/{keys.staged_key(job)}"},
        "inferenceId": inference_id(job, attempt),
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def transcript(text: str = "Ask not.") -> Transcript:
    return Transcript(
        task="transcribe",
        language="en",
        duration=2.0,
        text=text,
        segments=(Segment(0, 0.0, 2.0, text, -0.2, 1.1, 0.01, 0.0),),
        whisperstack=Provenance("pytorch", "tiny.en", "d" * 64, AudioFacts("mp3", 2.0, 2.0), {"decoding": 0.1}),
    )
