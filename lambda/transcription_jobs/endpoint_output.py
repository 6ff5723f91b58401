"""What the endpoint, or a transform job, left in S3 for one attempt."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from transcription_jobs.error_documents import read_error, storable
from transcription_jobs.result_objects import render
from whisperstack_contract import keys
from whisperstack_contract.errors import ErrorDocument, InferenceFailedError
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.transcript import Transcript, with_job_id

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Result:
    """A transcript that names its job, and its renderings by suffix."""

    transcript: Transcript
    renderings: Mapping[str, bytes]


class EndpointOutput:
    def __init__(self, s3: "S3Client", transcripts_bucket: str) -> None:
        self._s3: Final = s3
        self._bucket: Final = transcripts_bucket

    def result(self, job_id: str, options: TranscriptionOptions, *locations: str | None) -> Result | ErrorDocument:
        """The transcript or the error at the first location that lies where results do. Raises ValueError where none does."""
        for location in locations:
            if key := self._key(location, keys.RAW_PREFIX):
                return read_result(self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read(), job_id, options)
        raise ValueError(
            f"none of {len(locations)} output locations lies below {keys.RAW_PREFIX} of the transcripts bucket; "
            "check the endpoint's output path"
        )

    def failure(self, *locations: str | None) -> ErrorDocument | None:
        """The error document at the first location that has one."""
        for location in locations:
            key = self._key(location, keys.FAILURES_PREFIX)
            if key and (document := read_error(self._read_if_there(key) or b"")):
                return document
        return None

    def stored(self, job_id: str, options: TranscriptionOptions, location: str) -> Result | ErrorDocument | None:
        """The transcript or the error at `location`; None where nothing is, or it lies where results do not."""
        key = self._key(location, keys.RAW_PREFIX)
        body = self._read_if_there(key) if key else None
        return None if body is None else read_result(body, job_id, options)

    def _key(self, location: str | None, prefix: str) -> str | None:
        """The key in an s3 URI, or None where it lies elsewhere: a message must not make us publish another's object."""
        bucket_uri = f"s3://{self._bucket}/"
        if location and location.startswith(bucket_uri + prefix):
            return location.removeprefix(bucket_uri)
        return None

    def _read_if_there(self, key: str) -> bytes | None:
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            # Whether every kind of failure leaves an object is not documented.
            return None


def read_result(body: bytes, job_id: str, options: TranscriptionOptions) -> Result | ErrorDocument:
    """The transcript, which now names its job; or the error that the body is or amounts to."""
    if document := read_error(body):
        return document
    try:
        transcript = with_job_id(Transcript.from_json(body), job_id)
        return Result(transcript, render(transcript, options))
    except (ValueError, OverflowError, RecursionError) as error:
        unusable = InferenceFailedError(
            f"the endpoint's output cannot be used ({error}); check that it runs a Whisperstack model, then upload again"
        )
        return storable(unusable.document())
