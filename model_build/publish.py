"""Brings a built archive to the model bucket of an environment, under the archive's own digest."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from model_build.digests import sha256_of_file
from model_build.errors import BuildError
from model_build.progress import Progress
from model_build.reading import read_archive
from model_build.release import archive_path
from model_build.upload import Target, upload
from whisperstack_contract.artefact import ARCHIVE_MANIFEST_FILENAME, ReleaseManifest
from whisperstack_contract.keys import model_archive_key, model_folder_prefix

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client

BUCKET_OUTPUT: Final = "ModelBucketName"

# An archive has some thousand small files, for each of which S3 takes its time to answer.
_FILES_AT_ONCE: Final = 8


def storage_stack(environment: str) -> str:
    """The name of the stack that holds an environment's model bucket."""
    return f"Whisperstack-{environment}-Storage"


def publish_release(release: ReleaseManifest, folder: Path, stack: str, progress: Progress) -> tuple[str, bool]:
    """(address, whether it was uploaded: False where the bucket had it). The bucket's default encryption applies.

    An interrupted upload goes on where it stopped. Raises BuildError where archive and manifest differ, or where AWS refuses.
    """
    _check_archive(release, folder, progress)
    with _explained():
        bucket = _model_bucket(boto3.client("cloudformation"), stack)
        s3, key = boto3.client("s3"), model_archive_key(release.digest)
        address = f"s3://{bucket}/{key}"
        if _size_in_bucket(s3, bucket, key) == release.archive_bytes:
            return address, False
        progress.stage("Uploading", release.archive_bytes)
        upload(s3, archive_path(folder), _target(release, bucket, key, "application/gzip"), progress)
    return address, True


def publish_unpacked(release: ReleaseManifest, folder: Path, stack: str, progress: Progress) -> tuple[str, bool]:
    """The same for the archive's files, each an object of its own, for endpoints that start without unpacking.

    The manifest comes last: where it is, all the others are.
    """
    _check_archive(release, folder, progress)
    with _explained(), tempfile.TemporaryDirectory(prefix="whisperstack-publish-") as name:
        bucket = _model_bucket(boto3.client("cloudformation"), stack)
        s3, prefix = boto3.client("s3"), model_folder_prefix(release.digest)
        address = f"s3://{bucket}/{prefix}"
        if _size_in_bucket(s3, bucket, f"{prefix}{ARCHIVE_MANIFEST_FILENAME}") is not None:
            return address, False
        archive = read_archive(archive_path(folder), progress, Path(name))
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        there = {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}
        missing = [entry for entry in archive.entries if there.get(prefix + entry.name) != entry.size_bytes]
        progress.stage("Uploading", sum(entry.size_bytes for entry in missing))
        others = [entry.name for entry in missing if entry.name != ARCHIVE_MANIFEST_FILENAME]

        def send(path: str) -> None:
            upload(s3, Path(name) / path, _target(release, bucket, prefix + path, "application/octet-stream"), progress)

        with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
            sent = [pool.submit(send, path) for path in others]
            try:
                for finished in as_completed(sent):
                    finished.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        send(ARCHIVE_MANIFEST_FILENAME)
    return address, True


def _target(release: ReleaseManifest, bucket: str, key: str, content_type: str) -> Target:
    return Target(bucket, key, content_type, {"engine": release.engine, "model": release.model})


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except NoRegionError as error:
        raise BuildError("no AWS region is set; set AWS_DEFAULT_REGION or choose a profile with AWS_PROFILE") from error
    except NoCredentialsError as error:
        raise BuildError("no AWS credentials were found; sign in (aws sso login) or set AWS_PROFILE") from error
    except (BotoCoreError, ClientError) as error:
        raise BuildError(
            f"AWS did not take the archive ({error}); check account, region and permissions, and publish again: "
            "an upload goes on where it stopped"
        ) from error


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


def _size_in_bucket(s3: "S3Client", bucket: str, key: str) -> int | None:
    try:
        return s3.head_object(Bucket=bucket, Key=key)["ContentLength"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "404":
            return None
        raise
