"""Everything that is kept of one upload: object versions and rows, wherever the pipeline puts them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from operations.deployment import Deployment
from whisperstack_contract import keys
from whisperstack_contract.job_table import ACTIVE, PARTITION_KEY
from whisperstack_contract.jobs import SourceVersion, job_id
from whisperstack_contract.subtitles import RENDERERS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

# What of a row leads to its objects and says whether it is still in work.
_ATTRIBUTES: Final = (PARTITION_KEY, "source_bucket", "failure_location", "output_location", ACTIVE)


class StoredVersion(NamedTuple):
    """One version of an object, or a marker that hides its versions."""

    bucket: str
    key: str
    version_id: str


@dataclass(frozen=True)
class Holdings:
    """rows: job ids. unfinished: those of them whose end, or its announcement, is still to come.

    without_row: versions of the upload that no row speaks of, so that their job may be about to begin.
    """

    objects: tuple[StoredVersion, ...]
    rows: tuple[str, ...]
    unfinished: tuple[str, ...]
    without_row: tuple[str, ...]


def find_holdings(
    deployment: Deployment, key: str, s3: "S3Client", dynamodb: "DynamoDBClient", looked_at: Callable[[int], None]
) -> Holdings:
    """looked_at: hears how many rows have been looked at.

    All rows are read. A job's id follows from its upload's version, but a version may be gone that has a row, and a
    recording that was transcribed again has several. Raises ValueError for a key that is no upload's.
    """
    uploads = list(_versions_of(s3, deployment.audio_bucket, [(key, True)]))
    rows = list(_rows(dynamodb, deployment, key, looked_at))
    found = {str(row[PARTITION_KEY]["S"]) for row in rows}
    by_upload = {job_id(SourceVersion(*upload)): upload.version_id for upload in uploads}
    written = [
        location for row in rows for name in ("failure_location", "output_location") if (location := row.get(name, {}).get("S"))
    ]
    # Objects of a job outlive a row that has expired.
    jobs = sorted(found | set(by_upload))
    objects = {
        *uploads,
        *_versions_of(s3, deployment.audio_bucket, [(keys.staged_key(job), True) for job in jobs]),
        *_versions_of(s3, deployment.transcripts_bucket, _results(key, jobs)),
        *_written_elsewhere(s3, deployment.transcripts_bucket, written),
    }
    return Holdings(
        objects=tuple(sorted(objects)),
        rows=tuple(sorted(found)),
        unfinished=tuple(sorted(str(row[PARTITION_KEY]["S"]) for row in rows if ACTIVE in row)),
        without_row=tuple(sorted(version for job, version in by_upload.items() if job not in found)),
    )


def _results(key: str, jobs: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """(key or prefix, whether it is a whole key) of all that the pipeline writes about these jobs."""
    yield from ((keys.transcript_key(key, suffix), True) for suffix in RENDERERS)
    yield keys.error_key(key), True
    for job in jobs:
        yield keys.version_key(job, ""), False
        yield f"{keys.RAW_PREFIX}{job}/", False


def _written_elsewhere(s3: "S3Client", bucket: str, locations: Sequence[str]) -> Iterator[StoredVersion]:
    """What rows know the place of: what the endpoint wrote when it could not, and what transform jobs wrote."""
    prefix = f"s3://{bucket}/"
    places = [location.removeprefix(prefix) for location in locations if location.startswith(prefix)]
    known = (keys.FAILURES_PREFIX, keys.RAW_BATCH_PREFIX)
    yield from _versions_of(s3, bucket, [(place, True) for place in places if place.startswith(known)])


def _versions_of(
    s3: "S3Client", bucket: str, places: Sequence[tuple[str, bool]] | Iterator[tuple[str, bool]]
) -> Iterator[StoredVersion]:
    for prefix, is_whole_key in places:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
            for entry in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
                if not is_whole_key or entry["Key"] == prefix:
                    yield StoredVersion(bucket, entry["Key"], entry["VersionId"])


def _rows(
    dynamodb: "DynamoDBClient", deployment: Deployment, key: str, looked_at: Callable[[int], None]
) -> Iterator[Mapping[str, Any]]:
    keys.name_of(key)
    seen = 0
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=deployment.job_table,
        ConsistentRead=True,
        FilterExpression="#key = :key AND #bucket = :bucket",
        ProjectionExpression=", ".join(f"#{name}" for name in _ATTRIBUTES),
        ExpressionAttributeNames={
            **{f"#{name}": name for name in _ATTRIBUTES},
            "#key": "source_key",
            "#bucket": "source_bucket",
        },
        ExpressionAttributeValues={":key": {"S": key}, ":bucket": {"S": deployment.audio_bucket}},
    )
    for page in pages:
        seen += page["ScannedCount"]
        looked_at(seen)
        yield from page["Items"]
