"""Whether what is to run can be had: the images of the region, and the models that were built."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.errors import ConfigurationError
from infra.images import ServingImage
from infra.served_model import OwnImage
from model_build.errors import BuildError
from model_build.release import archive_path, require_release
from preflight.findings import Finding, failed, passed
from whisperstack_contract.artefact import ARCHIVE_MANIFEST_FILENAME, ReleaseManifest, artefact_folder
from whisperstack_contract.keys import model_archive_key, model_folder_prefix

_BUCKET_OUTPUT: Final = "ModelBucketName"


def check_image(ecr: Any, image: ServingImage, region: str) -> Iterator[Finding]:
    subject = f"image {image.repository}:{image.tag}"
    try:
        image.require_region(region)
    except ConfigurationError as error:
        yield failed(subject, str(error), "choose that in infra/environments.py")
        return
    remedy = "run 'make refresh-images' and deploy a tag that is there"
    yield _look(ecr, subject, image.accounts[region], image.repository, {"imageTag": image.tag}, remedy)


def check_own_image(ecr: Any, image: OwnImage) -> Iterator[Finding]:
    """ecr: of the image's region."""
    wanted = {"imageTag": image.tag} if image.tag else {"imageDigest": image.image_uri.rpartition("@")[2]}
    remedy = "push it, correct image_uri in infra/environments.py, or allow this account in the repository's policy"
    yield _look(ecr, f"image {image.image_uri}", image.account, image.repository, wanted, remedy)


def _look(ecr: Any, subject: str, registry: str, repository: str, image_id: dict[str, str], remedy: str) -> Finding:
    try:
        answer = ecr.batch_get_image(registryId=registry, repositoryName=repository, imageIds=[image_id])
    except ClientError as error:
        if error.response["Error"]["Code"] != "RepositoryNotFoundException":
            raise
        return failed(subject, f"there is no repository {repository} in registry {registry}", remedy)
    if failures := answer.get("failures"):
        return failed(subject, f"registry {registry} does not give it ({failures[0]['failureReason']})", remedy)
    return passed(subject, f"there, in registry {registry}")


def check_release(
    s3: Any, cloudformation: Any, stack: str, root: Path, engine: str, model: str, *, unpacked: bool = False
) -> Iterator[Finding]:
    """Whether the artefact is published, or lies here to be published. unpacked: its files as well."""
    subject = f"artefact of {model} for {engine}"
    folder = root / artefact_folder(engine, model)
    try:
        release = require_release(folder, engine, model)
    except BuildError as error:
        problem, _, remedy = str(error).rpartition("; ")
        yield failed(subject, problem, remedy)
        return
    bucket = _model_bucket(cloudformation, stack)
    if bucket and _is_published(s3, bucket, release, unpacked):
        yield passed(subject, f"published, SHA-256 {release.digest}")
    elif archive_path(folder).is_file():
        yield passed(subject, f"built, SHA-256 {release.digest}; the deployment publishes it")
    else:
        yield failed(
            subject,
            f"it is not published, and its archive is not in {folder}",
            f"build it again: .venv/bin/python -m model_build build --engine {engine} --model {model}",
        )


def _model_bucket(cloudformation: Any, stack: str) -> str | None:
    """None before the first deployment."""
    try:
        outputs = cloudformation.describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return None
    return next((output["OutputValue"] for output in outputs if output["OutputKey"] == _BUCKET_OUTPUT), None)


def _is_published(s3: Any, bucket: str, release: ReleaseManifest, unpacked: bool) -> bool:
    if _size(s3, bucket, model_archive_key(release.digest)) != release.archive_bytes:
        return False
    # The last of the files to be published.
    manifest = model_folder_prefix(release.digest) + ARCHIVE_MANIFEST_FILENAME
    return not unpacked or _size(s3, bucket, manifest) is not None


def _size(s3: Any, bucket: str, key: str) -> int | None:
    try:
        return int(s3.head_object(Bucket=bucket, Key=key)["ContentLength"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "404":
            return None
        raise
