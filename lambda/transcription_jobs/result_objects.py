"""The objects in which a job's result reaches its user.

The current version of an upload owns its name; the result of any other lies under the job's own id. An earlier version's
transcript stays where it is until a current version has a new one.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from transcription_jobs.job import Ending, Job
from whisperstack_contract import keys
from whisperstack_contract.errors import ErrorDocument
from whisperstack_contract.jobs import JobState, SourceVersion
from whisperstack_contract.options import JSON_FORMAT, TranscriptionOptions
from whisperstack_contract.subtitles import RENDERERS
from whisperstack_contract.transcript import Transcript

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

# Without a charset, browsers and players guess one for text.
CONTENT_TYPES: Final = {
    "json": "application/json; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    keys.ERROR_SUFFIX: "application/json; charset=utf-8",
}


def render(transcript: Transcript, options: TranscriptionOptions) -> dict[str, bytes]:
    """The JSON and the renderings that the options ask for, by suffix.

    Raises ValueError for text that is not Unicode, such as half of a surrogate pair.
    """
    wanted = dict.fromkeys((JSON_FORMAT, *options.formats))
    return {suffix: RENDERERS[suffix](transcript, options).encode() for suffix in wanted}


class ResultObjects:
    def __init__(self, s3: "S3Client", transcripts_bucket: str) -> None:
        self._s3 = s3
        self.bucket: Final = transcripts_bucket

    def write_transcript(self, job: Job, renderings: Mapping[str, bytes]) -> Ending:
        current = self._is_current(job.source)
        outputs = {
            suffix: keys.transcript_key(job.source.key, suffix) if current else keys.version_key(job.job_id, suffix)
            for suffix in renderings
        }
        for suffix, body in renderings.items():
            self._put(outputs[suffix], body, CONTENT_TYPES[suffix])
        return Ending(JobState.SUCCEEDED, outputs, current)

    def write_error(self, job: Job, error: ErrorDocument, state: JobState) -> Ending:
        current = self._is_current(job.source)
        key = self._error_key(job, current)
        self._put(key, error.to_json().encode(), CONTENT_TYPES[keys.ERROR_SUFFIX])
        return Ending(state, {"error": key}, current, error)

    def remove_error(self, job: Job) -> None:
        """Removes the error document that the job's success contradicts, if there is one."""
        key = self._error_key(job, self._is_current(job.source))
        # Deleting what is not there would leave a delete marker for every transcript.
        if self._head(self.bucket, key):
            self._s3.delete_object(Bucket=self.bucket, Key=key)

    def _is_current(self, source: SourceVersion) -> bool:
        head = self._head(source.bucket, source.key)
        return head is not None and head.get("VersionId") == source.version_id

    def _head(self, bucket: str, key: str) -> "HeadObjectOutputTypeDef | None":
        """None where there is no such object, or a delete marker hides it."""
        try:
            return self._s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise

    def _put(self, key: str, body: bytes, content_type: str) -> None:
        self._s3.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=content_type)

    @staticmethod
    def _error_key(job: Job, current: bool) -> str:
        return keys.error_key(job.source.key) if current else keys.version_key(job.job_id, keys.ERROR_SUFFIX)
