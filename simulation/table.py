"""The job table with its two indexes, and the calls of DynamoDB that the functions make."""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Final

from botocore.exceptions import ClientError

from simulation.events import noted
from simulation.expressions import Item, Names, UnknownExpressionError, Values, holds, updated
from simulation.faults import Fault, Faults
from simulation.scheduler import Scheduler
from simulation.wire import Wire
from whisperstack_contract.job_table import (
    ACTIVE,
    ACTIVE_INDEX,
    ACTIVE_PROJECTION,
    DEADLINE,
    ENDED,
    ENDED_AT,
    ENDED_INDEX,
    PARTITION_KEY,
)

_INDEXES: Final = {ACTIVE_INDEX: (ACTIVE, DEADLINE, ACTIVE_PROJECTION), ENDED_INDEX: (ENDED, ENDED_AT, ())}

# "Within a fraction of a second, under normal conditions." Source: DynamoDB developer guide, global secondary indexes.
_LATEST_SECONDS: Final = 120.0


class ConditionalCheckFailedException(ClientError):  # noqa: N818
    """DynamoDB's answer where a condition does not hold. The name is botocore's."""

    def __init__(self, operation: str) -> None:
        super().__init__({"Error": {"Code": "ConditionalCheckFailedException"}}, operation)


class Index:
    """Rows by a partition key, in the order of a sort key; it follows the table."""

    def __init__(self, partition: str, sort: str, projection: tuple[str, ...]) -> None:
        self.partition = partition
        self.sort = sort
        self._projected = (PARTITION_KEY, partition, sort, *projection)
        self._places: dict[str, tuple[str, Any]] = {}
        self._entries: dict[str, list[tuple[Any, str]]] = defaultdict(list)
        self._items: dict[str, Item] = {}

    def follow(self, key: str, row: Item) -> None:
        projected = {name: row[name] for name in self._projected if name in row}
        if self._items.get(key) == projected:
            return
        if place := self._places.pop(key, None):
            entries = self._entries[place[0]]
            del entries[bisect_left(entries, (place[1], key))]
            del self._items[key]
        if self.partition in row and self.sort in row:
            partition, sort = row[self.partition]["S"], _plain(row[self.sort])
            insort(self._entries[partition], (sort, key))
            self._places[key], self._items[key] = (partition, sort), projected

    def query(self, partition: str, until: Any, after: tuple[Any, str] | None, limit: int, forward: bool) -> list[Item]:
        entries = self._entries[partition]
        if not forward:
            entries = entries[::-1]
            start = 0 if after is None else entries.index(after) + 1
            return [self._items[key] for _, key in entries[start : start + limit]]
        start = 0 if after is None else bisect_right(entries, after)
        # A key is never so long that it comes after this one.
        end = len(entries) if until is None else bisect_right(entries, (until, "\U0010ffff"))
        return [self._items[key] for _, key in entries[start : min(end, start + limit)]]


class Table:
    """The rows as they are. late: whether an index may lag behind for a while."""

    def __init__(self, scheduler: Scheduler, faults: Faults) -> None:
        self.rows: dict[str, Item] = {}
        self.indexes = {name: Index(*shape) for name, shape in _INDEXES.items()}
        self._scheduler = scheduler
        self._faults = faults
        self._late_until: dict[str, float] = {}

    def put(self, key: str, row: Item) -> None:
        self.rows[key] = row
        if self._faults.happens(Fault.INDEX_LATE):
            self._late_until[key] = self._scheduler.now + self._faults.random.uniform(0, _LATEST_SECONDS)
        due = self._late_until.get(key)
        if due is None:
            self._follow(key)
        else:
            # What comes later comes later in the index too; it then shows the row of that moment, never an older one.
            self._scheduler.at(due, lambda: self._follow(key))

    def _follow(self, key: str) -> None:
        if self._late_until.get(key, 0) <= self._scheduler.now:
            self._late_until.pop(key, None)
            for index in self.indexes.values():
                index.follow(key, self.rows[key])


class DynamoDB:
    """A client: refuses parameters, and expressions, that it does not know."""

    exceptions: Final = SimpleNamespace(ConditionalCheckFailedException=ConditionalCheckFailedException)

    def __init__(self, wire: Wire, faults: Faults, table: Table) -> None:
        self._wire = wire
        self._faults = faults
        self._table = table

    def put_item(
        self,
        *,
        TableName: str,  # noqa: N803, ARG002
        Item: Item,  # noqa: N803
        ConditionExpression: str,  # noqa: N803
        ExpressionAttributeNames: Names,  # noqa: N803
    ) -> dict[str, Any]:
        key = Item[PARTITION_KEY]["S"]

        def effect() -> dict[str, Any]:
            self._require("PutItem", ConditionExpression, key, ExpressionAttributeNames, {})
            self._table.put(key, dict(Item))
            return {}

        return self._wire.call("dynamodb", "PutItem", key, effect)

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool) -> dict[str, Any]:  # noqa: N803, ARG002
        key = Key[PARTITION_KEY]["S"]
        if not ConsistentRead:
            raise UnknownExpressionError("a read that may be stale")

        def effect() -> dict[str, Any]:
            row = self._table.rows.get(key)
            return {"Item": row} if row else {}

        return self._wire.call("dynamodb", "GetItem", key, effect)

    def update_item(
        self,
        *,
        TableName: str,  # noqa: N803, ARG002
        Key: Item,  # noqa: N803
        UpdateExpression: str,  # noqa: N803
        ExpressionAttributeNames: Names,  # noqa: N803
        ExpressionAttributeValues: Values,  # noqa: N803
        ReturnValues: str,  # noqa: N803
        ConditionExpression: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        key = Key[PARTITION_KEY]["S"]
        if ReturnValues != "ALL_NEW":
            raise UnknownExpressionError(f"ReturnValues {ReturnValues}")

        def effect() -> dict[str, Any]:
            self._require("UpdateItem", ConditionExpression, key, ExpressionAttributeNames, ExpressionAttributeValues)
            before = self._table.rows.get(key, Key)
            after = updated(UpdateExpression, before, ExpressionAttributeNames, ExpressionAttributeValues)
            self._table.put(key, after)
            if ":announced_at" in ExpressionAttributeValues:
                noted()
            return {"Attributes": after}

        state = ExpressionAttributeValues.get(":state", {}).get("S", "")
        return self._wire.call("dynamodb", f"UpdateItem {state}".strip(), key, effect)

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803
        ((table, request),) = RequestItems.items()
        keys = [key[PARTITION_KEY]["S"] for key in request["Keys"]]
        if len(keys) > 100 or request["ProjectionExpression"] != PARTITION_KEY or not request["ConsistentRead"]:
            raise UnknownExpressionError(f"batch of {len(keys)}: {request['ProjectionExpression']}")

        def effect() -> dict[str, Any]:
            asked, left = keys, list[str]()
            if len(keys) > 1 and self._faults.happens(Fault.BATCH_REFUSED_IN_PART):
                asked, left = keys[::2], keys[1::2]
            there = [{PARTITION_KEY: {"S": key}} for key in asked if key in self._table.rows]
            answer: dict[str, Any] = {"Responses": {table: there}}
            if left:
                answer["UnprocessedKeys"] = {table: {**request, "Keys": [{PARTITION_KEY: {"S": key}} for key in left]}}
            return answer

        return self._wire.call("dynamodb", "BatchGetItem", f"{len(keys)} keys", effect)

    def query(
        self,
        *,
        TableName: str,  # noqa: N803, ARG002
        IndexName: str,  # noqa: N803
        KeyConditionExpression: str,  # noqa: N803
        ExpressionAttributeNames: Names,  # noqa: N803
        ExpressionAttributeValues: Values,  # noqa: N803
        Limit: int,  # noqa: N803
        ScanIndexForward: bool = True,  # noqa: N803
        ExclusiveStartKey: Item | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        index = self._table.indexes[IndexName]
        wanted = {"#active": ACTIVE, "#ended": ENDED, "#deadline": DEADLINE}
        known = {"#active = :active", "#active = :active AND #deadline <= :until", "#ended = :ended"}
        if KeyConditionExpression not in known or any(wanted[name] != said for name, said in ExpressionAttributeNames.items()):
            raise UnknownExpressionError(f"query {KeyConditionExpression!r}")
        values = ExpressionAttributeValues
        partition = values[f":{index.partition}"]["S"]
        until = _plain(values[":until"]) if ":until" in values else None
        after = None
        if ExclusiveStartKey:
            after = (_plain(ExclusiveStartKey[index.sort]), ExclusiveStartKey[PARTITION_KEY]["S"])

        def effect() -> dict[str, Any]:
            items = index.query(partition, until, after, Limit, ScanIndexForward)
            page: dict[str, Any] = {"Items": items}
            if len(items) == Limit:
                last = items[-1]
                page["LastEvaluatedKey"] = {name: last[name] for name in (PARTITION_KEY, index.partition, index.sort)}
            return page

        return self._wire.call("dynamodb", "Query", partition, effect)

    def _require(self, operation: str, condition: str, key: str, names: Names, values: Values) -> None:
        if condition and not holds(condition, self._table.rows.get(key, {}), names, values):
            raise ConditionalCheckFailedException(operation)


def _plain(value: Mapping[str, Any]) -> Any:
    return Decimal(value["N"]) if "N" in value else value["S"]
