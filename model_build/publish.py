"""Brings a built archive to the model bucket of an environment, under the archive's own digest."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from model_build.digests import sha256_of_file
from model_build.errors import BuildError
from model_build.progress import Progress
from model_build.release import archive_path
from whisperstack_contract.artefact import ReleaseManifest
from whisperstack_contract.keys import model_archive_key

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client

BUCKET_OUTPUT: Final = "ModelBucketName"


def storage_stack(environment: str) -> str:
    """The name of the stack that holds an environment's model bucket."""
    return f"Whisperstack-{environment}-Storage"


def publish_release(release: ReleaseManifest, folder: Path, stack: str, progress: Progress) -> tuple[str, bool]:
    """(address, whether it was uploaded: False where the bucket had it). The bucket's default encryption applies.

    Raises BuildError where archive and manifest differ, or where AWS refuses.
    """
    _check_archive(release, folder, progress)
    try:
        bucket = _model_bucket(boto3.client("cloudformation"), stack)
        s3, key = boto3.client("s3"), model_archive_key(release.digest)
        address = f"s3://{bucket}/{key}"
        if _is_published(s3, bucket, key, release.archive_bytes):
            return address, False
        progress.stage("Uploading", release.archive_bytes)
        s3.upload_file(
            str(archive_path(folder)),
            bucket,
            key,
            # S3 checks each part on arrival; the digest in the key is of the whole.
            ExtraArgs={
                "ChecksumAlgorithm": "SHA256",
                "ContentType": "application/gzip",
                "Metadata": {"engine": release.engine, "model": release.model},
            },
            Callback=progress.advance,
        )
    except NoRegionError as error:
        raise BuildError("no AWS region is set; set AWS_DEFAULT_REGION or choose a profile with AWS_PROFILE") from error
    except NoCredentialsError as error:
        raise BuildError("no AWS credentials were found; sign in (aws sso login) or set AWS_PROFILE") from error
    except (BotoCoreError, ClientError, Boto3Error) as error:
        raise BuildError(f"AWS did not take the archive ({error}); check account, region and permissions") from error
    return address, True


def _check_archive(release: ReleaseManifest, folder: Path, progress: Progress) -> None:
    path = archive_path(folder)
    if not path.is_file():
        raise BuildError(f"{path} does not exist; {_rebuild(release)}")
    progress.stage("Checking the archive")
    if (digest := sha256_of_file(path)) != release.digest:
        raise BuildError(f"{path} has the SHA-256 {digest}; its manifest says {release.digest}; {_rebuild(release)}")


def _rebuild(release: ReleaseManifest) -> str:
    return f"build it again: python -m model_build build --engine {release.engine} --model {release.model}"


def _model_bucket(cloudformation: "CloudFormationClient", stack: str) -> str:
    try:
        outputs = cloudformation.describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            raise BuildError(
                f"there is no stack {stack!r} in this account and region; deploy it first, or give --stack"
            ) from error
        raise
    for output in outputs:
        if output.get("OutputKey") == BUCKET_OUTPUT:
            return output["OutputValue"]
    raise BuildError(f"the stack {stack!r} has no output {BUCKET_OUTPUT!r}; deploy it again with this version, or give --stack")


def _is_published(s3: "S3Client", bucket: str, key: str, size_bytes: int) -> bool:
    try:
        return s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == size_bytes
    except ClientError as error:
        if error.response["Error"]["Code"] == "404":
            return False
        raise
