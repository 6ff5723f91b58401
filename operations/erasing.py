"""Removes for good what is kept of one upload, and says what was removed."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from operations.deployment import Deployment
from operations.errors import OperationsError
from operations.holdings import Holdings, StoredVersion
from operations.showing import counted
from whisperstack_contract.job_table import PARTITION_KEY

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

# Source: S3 API, DeleteObjects.
_AT_ONCE: Final = 1000

# Source: DynamoDB API, PointInTimeRecoverySpecification: what holds where the table does not say.
_RECOVERY_DAYS: Final = 35


@dataclass(frozen=True)
class Receipt:
    """What was removed, or, with dry_run, what would be. at: ISO 8601, UTC. by: the ARN of who did it. rows: job ids.

    rows_recoverable_until: the end of what the table's point-in-time recovery can bring back; None where it has none.
    """

    environment: str
    key: str
    by: str
    at: str
    dry_run: bool
    objects: tuple[StoredVersion, ...]
    rows: tuple[str, ...]
    rows_recoverable_until: str | None

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "objects": [each._asdict() for each in self.objects]}, indent=1, ensure_ascii=False)


def refuse_unfinished(holdings: Holdings, key: str) -> None:
    """Raises OperationsError while a job of the upload is in work: it would write results that nobody then erases."""
    if holdings.unfinished:
        raise OperationsError(
            f"of {key!r}, {counted(len(holdings.unfinished), 'job has', 'jobs have')} not come to an end "
            f"({', '.join(holdings.unfinished)}); wait for it, or cancel them, and run this again"
        )


def erase(
    holdings: Holdings, deployment: Deployment, s3: "S3Client", dynamodb: "DynamoDBClient", removed: Callable[[int], None]
) -> None:
    """removed: hears how many objects and rows have just gone. What was cut off can be run again. Raises OperationsError."""
    for bucket, versions in groupby(holdings.objects, key=lambda each: each.bucket):
        for batch in _batches(list(versions)):
            _delete(s3, bucket, batch)
            removed(len(batch))
    # Last, because they lead to the objects.
    for job in holdings.rows:
        dynamodb.delete_item(TableName=deployment.job_table, Key={PARTITION_KEY: {"S": job}})
        removed(1)


def receipt(
    holdings: Holdings, deployment: Deployment, key: str, dynamodb: "DynamoDBClient", *, by: str, dry_run: bool
) -> Receipt:
    now = datetime.now(UTC)
    days = _recovery_days(dynamodb, deployment.job_table)
    return Receipt(
        environment=deployment.environment,
        key=key,
        by=by,
        at=now.isoformat(timespec="seconds"),
        dry_run=dry_run,
        objects=holdings.objects,
        rows=holdings.rows,
        rows_recoverable_until=(now + timedelta(days=days)).isoformat(timespec="seconds") if days and holdings.rows else None,
    )


def _recovery_days(dynamodb: "DynamoDBClient", table: str) -> int | None:
    described: Any = dynamodb.describe_continuous_backups(TableName=table)
    recovery = described["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
        return None
    return int(recovery.get("RecoveryPeriodInDays", _RECOVERY_DAYS))


def _delete(s3: "S3Client", bucket: str, versions: Sequence[StoredVersion]) -> None:
    objects: Any = [{"Key": each.key, "VersionId": each.version_id} for each in versions]
    if errors := s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True}).get("Errors"):
        first = errors[0]
        raise OperationsError(
            f"{counted(len(errors), 'version')} in {bucket} could not be removed; the first is {first.get('Key')!r} "
            f"({first.get('Code')}: {first.get('Message')}); mend that and run this again"
        )


def _batches(versions: Sequence[StoredVersion]) -> Iterator[Sequence[StoredVersion]]:
    return (versions[start : start + _AT_ONCE] for start in range(0, len(versions), _AT_ONCE))
