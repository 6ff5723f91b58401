"""The copy of exactly one version that a job transcribes, under a key that fits SageMaker's InputLocation header."""

import re
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


def stage(s3: "S3Client", source: SourceVersion, bucket: str, key: str) -> str:
    """Copies the version to `key`; gives its content type. Raises VersionGoneError where it was deleted before."""
    try:
        head = s3.head_object(Bucket=source.bucket, Key=source.key, VersionId=source.version_id)
        content_type = _content_type(head.get("ContentType", ""))
        s3.copy_object(
            Bucket=bucket,
            Key=key,
            CopySource={"Bucket": source.bucket, "Key": source.key, "VersionId": source.version_id},
            ContentType=content_type,
            # The uploader's metadata and tags stay behind: they are not ours, and reading tags needs another permission.
            MetadataDirective="REPLACE",
            TaggingDirective="REPLACE",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE_CODES:
            raise VersionGoneError(
                f"version {source.version_id} was deleted before it could be transcribed; upload the recording again"
            ) from error
        raise
    return content_type


def _content_type(declared: str) -> str:
    return declared if _MEDIA_TYPE.fullmatch(declared) else UNKNOWN_CONTENT_TYPE
