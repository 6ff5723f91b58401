"""Rows of the job table: conditional writes and consistent reads, in plain Python values."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from whisperstack_contract.job_table import PARTITION_KEY

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Source: DynamoDB API, BatchGetItem.
LOOKUPS_A_CALL: Final = 100

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class Rows:
    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self.dynamodb = dynamodb
        self.table = table

    def create(self, key: str, values: Mapping[str, Any]) -> bool:
        """Whether the row is new; an existing one stays as it is."""
        try:
            self.dynamodb.put_item(
                TableName=self.table,
                Item=to_item({PARTITION_KEY: key, **values}),
                ConditionExpression="attribute_not_exists(#key)",
                ExpressionAttributeNames={"#key": PARTITION_KEY},
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def read(self, key: str) -> dict[str, Any] | None:
        # A stale row would bring back a job that has ended.
        response = self.dynamodb.get_item(TableName=self.table, Key=to_item({PARTITION_KEY: key}), ConsistentRead=True)
        return from_item(response["Item"]) if "Item" in response else None

    def read_all(self, keys: Sequence[str], attributes: Sequence[str] = ()) -> list[dict[str, Any]]:
        """The rows that are there, in any order, whole unless attributes are named. At most LOOKUPS_A_CALL keys."""
        asked: Any = {"Keys": [to_item({PARTITION_KEY: key}) for key in keys], "ConsistentRead": True}
        if attributes:
            asked["ProjectionExpression"] = ", ".join(attributes)
        found, remaining = [], {self.table: asked} if keys else {}
        while remaining:
            response = self.dynamodb.batch_get_item(RequestItems=remaining)
            found += [from_item(item) for item in response["Responses"][self.table]]
            remaining = response.get("UnprocessedKeys", {})
        return found

    def change(
        self,
        key: str,
        changes: Mapping[str, Any],
        *,
        where: Mapping[str, Any] | None = None,
        condition: str = "",
        values: Mapping[str, Any] | None = None,
        additions: Mapping[str, int] | None = None,
        removals: tuple[str, ...] = (),
    ) -> dict[str, Any] | None:
        """The row after the change, or None where it does not equal `where`.

        condition: instead of `where`, in DynamoDB's language; #name stands for each attribute that is changed or added to, and
        :name for `values`. additions: to numbers, which start from 0.
        """
        where, additions = where or {}, additions or {}
        # Every name gets a placeholder, as DynamoDB reserves words such as "state".
        parts = []
        if changes:
            parts.append("SET " + ", ".join(f"#{name} = :{name}" for name in changes))
        if removals:
            parts.append("REMOVE " + ", ".join(f"#{name}" for name in removals))
        if additions:
            parts.append("ADD " + ", ".join(f"#{name} :{name}" for name in additions))
        bound = {f":{name}": value for name, value in {**changes, **additions, **(values or {})}.items()}
        bound |= {f":expected_{name}": value for name, value in where.items()}
        expected = condition or " AND ".join(f"#{name} = :expected_{name}" for name in where)
        conditional: Any = {"ConditionExpression": expected} if expected else {}
        try:
            response = self.dynamodb.update_item(
                TableName=self.table,
                Key=to_item({PARTITION_KEY: key}),
                UpdateExpression=" ".join(parts),
                ExpressionAttributeNames={f"#{name}": name for name in (*changes, *removals, *additions, *where)},
                ExpressionAttributeValues=to_item(bound),
                ReturnValues="ALL_NEW",
                **conditional,
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            return None
        return from_item(response["Attributes"])


def to_item(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _serialize(value) for name, value in values.items()}


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _deserialize(value) for name, value in item.items()}
