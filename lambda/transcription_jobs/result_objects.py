"""The objects in which a job's result reaches its user.

Every result lies under its job's own id, for good. The version that S3 calls current owns the names that are made from the
upload's key, and they hold a copy of its result; an earlier version's transcript stays there until a current one has its own.

Such a name is a pointer that is only ever moved by a conditional write: what lies there is looked at first, then whether the
version is still current, and the copy is written only over what was seen. Of two recordings of one key that are recorded at
the same time, the one that is no longer current then either sees that it is not, or fails to write and looks again.

A transcript has several names, and a condition holds for one. So the JSON, which every transcript has, goes first and stands
for all: the others are looked at after it was written, and written only if it is still one's own after that and at the end.
Whoever finds another's there begins anew, or takes its own from the others. Each object's metadata says whose it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from transcription_jobs.job import Ending, Job
from whisperstack_contract import keys
from whisperstack_contract.errors import ErrorDocument
from whisperstack_contract.jobs import JobState, SourceVersion
from whisperstack_contract.options import JSON_FORMAT, TranscriptionOptions
from whisperstack_contract.receipt import CostReceipt
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

# The JSON first: every transcript has it.
_TRANSCRIPT_SUFFIXES: Final = (JSON_FORMAT, *(suffix for suffix in RENDERERS if suffix != JSON_FORMAT))

# Another write came in between. Source: S3 user guide, "Conditional writes": 412 for a condition that does not hold, 409 for a
# write at the same time, 404 for an object to replace that has been deleted.
_OVERTAKEN: Final = frozenset({404, 409, 412})
_TRIES: Final = 10

# Metadata of a result under an upload's name: the job that it is of.
JOB_METADATA: Final = "whisperstack-job"


class NameContestedError(Exception):
    """Others kept writing the same name; a later try finds it quiet."""


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

    def write_transcript(self, job: Job, renderings: Mapping[str, bytes], state: JobState, receipt: CostReceipt) -> Ending:
        """Writes a result under its job's id, and under the upload's name if that is the job's."""
        for suffix, body in renderings.items():
            self._put(keys.version_key(job.job_id, suffix), body)
        current = self.publish(job, renderings)
        outputs = {suffix: _output_key(job, suffix, current) for suffix in renderings}
        return Ending(state, outputs, current, receipt=receipt)

    def write_error(self, job: Job, error: ErrorDocument, state: JobState) -> Ending:
        body = error.to_json().encode()
        self._put(keys.version_key(job.job_id, keys.ERROR_SUFFIX), body)
        current = self.publish(job, {keys.ERROR_SUFFIX: body})
        return Ending(state, {"error": _output_key(job, keys.ERROR_SUFFIX, current)}, current, error)

    def publish(self, job: Job, renderings: Mapping[str, bytes]) -> bool:
        """Whether the job's version is current. If so, its upload's names now hold `renderings` and nothing of other versions.

        Raises NameContestedError.
        """
        first, *others = [keys.ERROR_SUFFIX] if keys.ERROR_SUFFIX in renderings else _TRANSCRIPT_SUFFIXES
        name = keys.result_key(job.source.key, first)
        for _ in range(_TRIES):
            before = self._head(self.bucket, name)
            current = self.is_current(job.source)
            mine = before is not None and _owner(before) == job.job_id
            if not (current or mine):
                self._withdraw(job, others)
                return False
            # What was begun while the version was current is finished: half of a result beside half of another helps nobody.
            written = self._replace(job, name, renderings[first], before) if current else before and before["ETag"]
            if written and not others:
                return current
            if written and self._publish_others(job, others, renderings, name, written):
                return current
        raise NameContestedError("the names of an upload's results kept changing while they were written")

    def _publish_others(
        self, job: Job, suffixes: Sequence[str], renderings: Mapping[str, bytes], first: str, written: str
    ) -> bool:
        """Whether all names were the job's in the end. first, written: the name that was written before, and its ETag then."""
        before = {suffix: self._head(self.bucket, keys.result_key(job.source.key, suffix)) for suffix in suffixes}
        # What was seen is then older than whatever another writes after the first name has become its.
        if self._etag(first) != written:
            return False
        for suffix, there in before.items():
            name = keys.result_key(job.source.key, suffix)
            if suffix in renderings:
                if not self._replace(job, name, renderings[suffix], there):
                    return False
            elif there and not self._remove(name, there["ETag"]):
                return False
        # Else another has looked at the others before they were ours.
        return self._etag(first) == written

    def _withdraw(self, job: Job, suffixes: Iterable[str]) -> None:
        """Removes what the job has under names that are another's."""
        for suffix in suffixes:
            name = keys.result_key(job.source.key, suffix)
            there = self._head(self.bucket, name)
            if there and _owner(there) == job.job_id:
                self._remove(name, there["ETag"])

    def read_renderings(self, job_id: str, suffixes: Iterable[str]) -> dict[str, bytes]:
        """What lies under a job's id of its transcript."""
        found = {}
        for suffix in suffixes:
            found[suffix] = self._s3.get_object(Bucket=self.bucket, Key=keys.version_key(job_id, suffix))["Body"].read()
        return found

    def remove_error(self, job: Job) -> None:
        """Removes the error documents that the job's success contradicts, if there are any."""
        self._remove(keys.version_key(job.job_id, keys.ERROR_SUFFIX))
        name = keys.result_key(job.source.key, keys.ERROR_SUFFIX)
        for _ in range(_TRIES):
            before = self._etag(name)
            if before is None or not self.is_current(job.source) or self._remove(name, before):
                return
        raise NameContestedError("the error document of an upload kept changing while it was removed")

    def remove_transcript(self, job: Job, suffixes: Iterable[str]) -> None:
        """Removes what `write_transcript` wrote, where it still is what lies there."""
        for suffix in suffixes:
            self._remove(keys.version_key(job.job_id, suffix))
        self._withdraw(job, suffixes)

    def owner(self, upload_key: str) -> str | None:
        """The job whose transcript an upload's names hold."""
        head = self._head(self.bucket, keys.result_key(upload_key, JSON_FORMAT))
        return _owner(head) if head else None

    def is_current(self, source: SourceVersion) -> bool:
        return self.current_version(source.bucket, source.key) == source.version_id

    def current_version(self, bucket: str, key: str) -> str | None:
        """None where there is no such object, or a delete marker hides it."""
        head = self._head(bucket, key)
        return head["VersionId"] if head else None

    def _etag(self, key: str) -> str | None:
        head = self._head(self.bucket, key)
        return head["ETag"] if head else None

    def _head(self, bucket: str, key: str) -> "HeadObjectOutputTypeDef | None":
        try:
            return self._s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if _status(error) == 404:
                return None
            raise

    def _put(self, key: str, body: bytes, **more: Any) -> str:
        content_type = next(kind for suffix, kind in CONTENT_TYPES.items() if key.endswith(f".{suffix}"))
        return self._s3.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=content_type, **more)["ETag"]

    def _replace(self, job: Job, key: str, body: bytes, before: "HeadObjectOutputTypeDef | None") -> str | None:
        """The new ETag; None where what was at `key` before, None for nothing, was no longer there."""
        condition = {"IfMatch": before["ETag"]} if before else {"IfNoneMatch": "*"}
        try:
            return self._put(key, body, Metadata={JOB_METADATA: job.job_id}, **condition)
        except ClientError as error:
            if _status(error) in _OVERTAKEN:
                return None
            raise

    def _remove(self, key: str, before: str | None = None) -> bool:
        before = before or self._etag(key)
        # Deleting what is not there would leave a delete marker for every transcript.
        if before is None:
            return True
        try:
            self._s3.delete_object(Bucket=self.bucket, Key=key, IfMatch=before)
        except ClientError as error:
            if _status(error) in _OVERTAKEN:
                return False
            raise
        return True


def _output_key(job: Job, suffix: str, current: bool) -> str:
    return keys.result_key(job.source.key, suffix) if current else keys.version_key(job.job_id, suffix)


def _owner(head: "HeadObjectOutputTypeDef") -> str | None:
    return head["Metadata"].get(JOB_METADATA)


def _status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]
