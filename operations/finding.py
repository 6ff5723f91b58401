"""From what an operator knows, a job's id or an upload's key, to its jobs."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from operations.deployment import Deployment
from operations.errors import OperationsError
from transcription_jobs.job import Job
from transcription_jobs.rows import LOOKUPS_A_CALL
from whisperstack_contract.job_table import ActiveFor
from whisperstack_contract.jobs import JOB_ID_CHARS, JobState, SourceVersion, job_id
from whisperstack_contract.keys import UPLOAD_PREFIXES

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# What the unfinished jobs in a state can wait for.
_WAITING: Final = {
    JobState.RECEIVED: (ActiveFor.SUBMISSION,),
    JobState.SUBMITTED: (ActiveFor.RESULT, ActiveFor.BATCH),
}
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


def ended_jobs(deployment: Deployment, state: JobState) -> Iterator[list[Job]]:
    """Jobs that ended so, the latest first, in pages that are read as they are asked for."""
    return _load_pages(deployment, deployment.jobs.ended(state))


def unfinished_jobs(deployment: Deployment, state: JobState) -> Iterator[list[Job]]:
    """Jobs in a state that is no end, the most overdue first of those that wait for the same, in pages like those above."""
    found = (each.job_id for what in _WAITING[state] for each in deployment.jobs.active(what))
    # The index lags behind the rows.
    return ([job for job in page if job.state is state] for page in _load_pages(deployment, found))


def _load_pages(deployment: Deployment, job_ids: Iterable[str]) -> Iterator[list[Job]]:
    rest = iter(job_ids)
    while page := list(islice(rest, LOOKUPS_A_CALL)):
        found = deployment.jobs.load_all(page)
        yield [found[each] for each in page if each in found]


def _runs(deployment: Deployment, version: SourceVersion) -> list[Job]:
    """The jobs of one version, the last first: one, and another each time that it was sent again."""
    runs: list[Job] = []
    while job := deployment.jobs.load(job_id(version, len(runs))):
        runs.append(job)
    return runs[::-1]


def _versions(s3: "S3Client", bucket: str, key: str) -> list[SourceVersion]:
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    return [
        SourceVersion(bucket, key, version["VersionId"])
        for page in pages
        for version in page.get("Versions", [])
        if version["Key"] == key
    ]
