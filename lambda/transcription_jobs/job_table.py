"""The job table: every change of a job's state, each one a conditional write."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from transcription_jobs.job import Ending, Job, ending_attributes, job_from_row, new_row
from whisperstack_contract.job_table import ACTIVE, ACTIVE_VALUE, DEADLINE, PARTITION_KEY
from whisperstack_contract.jobs import JobState, inference_id
from whisperstack_contract.limits import ASYNC_INVOCATION_TIMEOUT_SECONDS, ASYNC_REQUEST_TTL_SECONDS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# How long each stage may take before the job counts as lost. The first and the last outlast a few retries of their queue. The
# endpoint's limits start when it takes the request, and its notification needs a moment: hence the slack.
_INTAKE_TIME: Final = timedelta(hours=1)
_INFERENCE_SLACK: Final = timedelta(minutes=15)
_INFERENCE_TIME: Final = timedelta(seconds=ASYNC_REQUEST_TTL_SECONDS + ASYNC_INVOCATION_TIMEOUT_SECONDS) + _INFERENCE_SLACK
_ANNOUNCING_TIME: Final = timedelta(minutes=15)


def utc_now() -> datetime:
    return datetime.now(UTC)


class JobTable:
    def __init__(self, dynamodb: "DynamoDBClient", name: str, clock: Callable[[], datetime] = utc_now) -> None:
        self._dynamodb = dynamodb
        self._name = name
        self._clock = clock

    def create(self, job: Job) -> bool:
        """Whether the row is new; an existing one stays as it is."""
        row = {PARTITION_KEY: job.job_id, **new_row(job), **self._active_for(_INTAKE_TIME)}
        try:
            self._dynamodb.put_item(
                TableName=self._name,
                Item=_to_item(row),
                ConditionExpression="attribute_not_exists(#key)",
                ExpressionAttributeNames={"#key": PARTITION_KEY},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def load(self, job_id: str) -> Job | None:
        response = self._dynamodb.get_item(TableName=self._name, Key=_to_item({PARTITION_KEY: job_id}), ConsistentRead=True)
        return job_from_row(job_id, _from_item(response["Item"])) if "Item" in response else None

    def begin_first_attempt(self, job: Job, content_type: str) -> Job | None:
        """Writes down the job's options and the intent to invoke: received → submitted. None where another was faster."""
        attempt = 1
        return self._update(
            job.job_id,
            {
                "state": JobState.SUBMITTED.value,
                "attempt": attempt,
                "inference_id": inference_id(job.job_id, attempt),
                "content_type": content_type,
                "options": job.options,
                **self._active_for(_INFERENCE_TIME),
            },
            where={"state": JobState.RECEIVED.value},
        )

    def record_invocation(self, job: Job, output_location: str, failure_location: str | None) -> None:
        """Notes that SageMaker has the request. Without effect where a later attempt has begun meanwhile."""
        changes = {"invoked_at": self._clock().isoformat(), "output_location": output_location}
        if failure_location:
            changes["failure_location"] = failure_location
        # No condition on the state: a short recording's result can be recorded before this write.
        self._update(job.job_id, changes, where={"attempt": job.attempt})

    def end(self, job: Job, ending: Ending) -> Job | None:
        """The job's one end state. None where the job has moved on since `job` was loaded, ended or begun another attempt."""
        where: dict[str, Any] = {"state": job.state.value}
        # A success counts whichever attempt it comes from.
        if ending.state is not JobState.SUCCEEDED:
            where["attempt"] = job.attempt
        return self._update(
            job.job_id,
            {
                **ending_attributes(ending),
                "ended_at": self._clock().isoformat(),
                # It stays in the index until it is announced.
                **self._active_for(_ANNOUNCING_TIME),
            },
            where=where,
        )

    def mark_announced(self, job: Job) -> None:
        self._update(
            job.job_id,
            {"announced_at": self._clock().isoformat()},
            removals=(ACTIVE, DEADLINE),
            where={"state": job.state.value},
        )

    def _active_for(self, time: timedelta) -> dict[str, Any]:
        return {ACTIVE: ACTIVE_VALUE, DEADLINE: int((self._clock() + time).timestamp())}

    def _update(
        self, job_id: str, changes: Mapping[str, Any], *, where: Mapping[str, Any], removals: tuple[str, ...] = ()
    ) -> Job | None:
        """The job after `changes`, or None where the row does not equal `where`."""
        # Every name gets a placeholder, as DynamoDB reserves words such as "state".
        expression = "SET " + ", ".join(f"#{name} = :{name}" for name in changes)
        if removals:
            expression += " REMOVE " + ", ".join(f"#{name}" for name in removals)
        values = {f":{name}": value for name, value in changes.items()}
        values |= {f":expected_{name}": value for name, value in where.items()}
        try:
            response = self._dynamodb.update_item(
                TableName=self._name,
                Key=_to_item({PARTITION_KEY: job_id}),
                UpdateExpression=expression,
                ConditionExpression=" AND ".join(f"#{name} = :expected_{name}" for name in where),
                ExpressionAttributeNames={f"#{name}": name for name in (*changes, *removals, *where)},
                ExpressionAttributeValues=_to_item(values),
                ReturnValues="ALL_NEW",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return None
        return job_from_row(job_id, _from_item(response["Attributes"]))


def _to_item(values: Mapping[str, Any]) -> dict[str, Any]:
    serialize = TypeSerializer().serialize
    return {name: serialize(value) for name, value in values.items()}


def _from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    deserialize = TypeDeserializer().deserialize
    return {name: deserialize(value) for name, value in item.items()}
