"""The copy of exactly one version that a job transcribes, under a key that fits SageMaker's InputLocation header."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from transcription_jobs.job import UNKNOWN_CONTENT_TYPE
from whisperstack_contract.errors import VersionGoneError
from whisperstack_contract.jobs import SourceVersion

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Serving stacks decode text and JSON types to str before the handler sees them, and uploaders label recordings with anything.
# The decoder looks at the bytes anyway.
_MEDIA_TYPE: Final = re.compile(r"(audio|video)/[\x21-\x7e][\x20-\x7e]{0,99}")

_GONE_CODES: Final = frozenset({"404", "NoSuchKey", "NoSuchVersion"})


@dataclass(frozen=True)
class UploadedObject:
    """What S3 says of an upload besides its bytes. metadata: the uploader's own, names without x-amz-meta-."""

    content_type: str
    metadata: Mapping[str, str]


def look_at(s3: "S3Client", source: SourceVersion) -> UploadedObject:
    """Raises VersionGoneError where the version was deleted before."""
    with _telling_what_is_gone(source):
        head = s3.head_object(Bucket=source.bucket, Key=source.key, VersionId=source.version_id)
    return UploadedObject(_content_type(head.get("ContentType", "")), head.get("Metadata", {}))


def stage(s3: "S3Client", source: SourceVersion, content_type: str, bucket: str, key: str) -> None:
    """Copies the version to `key`. Raises VersionGoneError where it was deleted before."""
    with _telling_what_is_gone(source):
        s3.copy_object(
            Bucket=bucket,
            Key=key,
            CopySource={"Bucket": source.bucket, "Key": source.key, "VersionId": source.version_id},
            ContentType=content_type,
            # The uploader's metadata and tags stay behind: they are not ours, and reading tags needs another permission.
            MetadataDirective="REPLACE",
            TaggingDirective="REPLACE",
        )


@contextmanager
def _telling_what_is_gone(source: SourceVersion) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE_CODES:
            raise VersionGoneError(
                f"version {source.version_id} was deleted before it could be transcribed; upload the recording again"
            ) from error
        raise


def _content_type(declared: str) -> str:
    return declared if _MEDIA_TYPE.fullmatch(declared) else UNKNOWN_CONTENT_TYPE
