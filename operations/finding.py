"""From what an operator knows, a job's id or an upload's key, to its jobs."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from operations.deployment import Deployment
from operations.errors import OperationsError
from transcription_jobs.job import Job
from whisperstack_contract.jobs import JOB_ID_CHARS, SourceVersion, job_id
from whisperstack_contract.keys import UPLOAD_PREFIXES

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_JOB_ID: Final = re.compile(rf"[a-z2-7]{{{JOB_ID_CHARS}}}")


def find_jobs(subject: str, deployment: Deployment, s3: "S3Client") -> list[Job]:
    """Of the job with that id, or of every version of the upload with that key, newest first. Raises OperationsError."""
    if _JOB_ID.fullmatch(subject):
        job = deployment.jobs.load(subject)
        if job is None:
            raise OperationsError(f"there is no job {subject} in {deployment.job_table}; check the id and the environment")
        return [job]
    if not subject.startswith(UPLOAD_PREFIXES):
        raise OperationsError(
            f"{subject!r} is neither a job id ({JOB_ID_CHARS} characters of a-z and 2-7) nor a key below one of "
            f"{', '.join(UPLOAD_PREFIXES)}"
        )
    versions = _versions(s3, deployment.audio_bucket, subject)
    jobs = [job for version in versions for job in _runs(deployment, version)]
    if not jobs:
        raise OperationsError(
            f"{len(versions)} versions of {subject!r} are in {deployment.audio_bucket}, and none has a job; check the key"
        )
    return jobs


def _runs(deployment: Deployment, version: SourceVersion) -> Iterator[Job]:
    """The jobs of one version: one, and another each time that it was sent again."""
    run = 0
    while job := deployment.jobs.load(job_id(version, run)):
        yield job
        run += 1


def _versions(s3: "S3Client", bucket: str, key: str) -> list[SourceVersion]:
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    return [
        SourceVersion(bucket, key, version["VersionId"])
        for page in pages
        for version in page.get("Versions", [])
        if version["Key"] == key
    ]
