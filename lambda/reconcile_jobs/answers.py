"""What the endpoint wrote for a job, where its notification did not come: every attempt's output has a known place."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from transcription_jobs.job import Job
from whisperstack_contract import keys, messages

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Answers:
    s3: "S3Client"
    transcripts_bucket: str

    def find(self, job: Job) -> str | None:
        """A message for the results queue, as the endpoint's notification would have been. The newest attempt's, if several."""
        if job.batch is not None:
            stored = job.output_location is not None and self._is_there(job.output_location)
            return messages.completed(job.job_id, job.attempt, str(job.output_location)) if stored else None
        prefix = f"{keys.RAW_PREFIX}{job.job_id}/"
        listed = self.s3.list_objects_v2(Bucket=self.transcripts_bucket, Prefix=prefix).get("Contents", [])
        attempts = {int(entry["Key"].removeprefix(prefix).split("/")[0]): entry["Key"] for entry in listed}
        if attempts:
            attempt = max(attempts)
            return messages.completed(job.job_id, attempt, f"s3://{self.transcripts_bucket}/{attempts[attempt]}")
        if job.failure_location and self._is_there(job.failure_location):
            return messages.failed(job.job_id, job.attempt, job.failure_location, "")
        return None

    def _is_there(self, location: str) -> bool:
        bucket_uri = f"s3://{self.transcripts_bucket}/"
        if not location.startswith(bucket_uri):
            return False
        try:
            self.s3.head_object(Bucket=self.transcripts_bucket, Key=location.removeprefix(bucket_uri))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True
