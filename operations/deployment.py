"""What an environment's stacks are made of, by their outputs: the same in an account and in the embedded AWS."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from operations.errors import OperationsError
from transcription_jobs.job_table import JobTable
from transcription_jobs.outbox import Outbox
from transcription_jobs.result_objects import ResultObjects

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_STORAGE = ("JobTableName", "AudioBucketName", "TranscriptsBucketName", "AnnouncementsTopicArn")


@dataclass(frozen=True)
class Deployment:
    """Names of what stands in the account that the credentials are for."""

    environment: str
    job_table: str
    audio_bucket: str
    transcripts_bucket: str
    announcements_topic: str

    @classmethod
    def find(cls, environment: str) -> "Deployment":
        """Raises OperationsError where the environment's storage is not deployed."""
        outputs = stack_outputs(boto3.client("cloudformation"), f"Whisperstack-{environment}-Storage")
        table, audio, transcripts, topic = (outputs[name] for name in _STORAGE)
        return cls(environment, table, audio, transcripts, topic)

    @property
    def jobs(self) -> JobTable:
        return JobTable(boto3.client("dynamodb"), self.job_table)

    @property
    def outbox(self) -> Outbox:
        objects = ResultObjects(boto3.client("s3"), self.transcripts_bucket)
        return Outbox(self.jobs, objects, boto3.client("sns"), self.announcements_topic)


def state_machine_of(environment: str) -> str:
    """The ARN of the workflow of batches. Raises OperationsError where the environment has none."""
    return stack_outputs(boto3.client("cloudformation"), f"Whisperstack-{environment}-Batch")["StateMachineArn"]


def stack_outputs(cloudformation: "CloudFormationClient", stack: str) -> dict[str, str]:
    """Raises OperationsError where there is no such stack."""
    try:
        described: Any = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            raise OperationsError(
                f"there is no stack {stack} in this account and region; deploy it, or name another environment with --env; "
                "of an embedded AWS, set the variables that `make local` prints"
            ) from error
        raise
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
