"""The fake AWS answers as moto does, on whatever the functions' own table and result objects ask of it."""

from collections import Counter
from collections.abc import Iterator
from random import Random
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from greenlet import getcurrent
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from simulation.expressions import UnknownExpressionError
from simulation.faults import Faults
from simulation.history import History
from simulation.scheduler import Process, Scheduler
from simulation.stored_objects import S3, Bucket
from simulation.table import DynamoDB, Table
from simulation.wire import Outages, Wire
from tests.unit.pipeline import TABLE, _create_job_table
from transcription_jobs.rows import Rows
from whisperstack_contract.job_table import ACTIVE_INDEX


@pytest.fixture(scope="module")
def moto():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        with mock_aws(config={"core": {"reset_boto3_session": False}}):
            dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
            _create_job_table(dynamodb)
            s3.create_bucket(Bucket="bucket")
            s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
            yield SimpleNamespace(dynamodb=dynamodb, s3=s3, numbers=iter(range(10**9)))


class Outside(Process):
    """Calls the fakes from outside of any world, in which time passes."""

    def sleep(self, seconds: float) -> None:
        pass


def _fakes() -> Any:
    scheduler = Scheduler()
    faults = Faults(Random(0), {}, Counter())
    wire = Wire(scheduler, faults, Outages(scheduler, faults), History(), Random(0))
    getcurrent().process = Outside(scheduler, "test", 0, 0)
    bucket = Bucket("bucket", lambda: scheduler.now, keeps=True)
    dynamodb, s3 = DynamoDB(wire, faults, Table(scheduler, faults)), S3(wire, faults, {"bucket": bucket})
    return SimpleNamespace(dynamodb=dynamodb, s3=s3, bucket=bucket)


@pytest.fixture
def fakes() -> Iterator[Any]:
    yield _fakes()
    del getcurrent().process


_names = st.sampled_from(["state", "attempt", "submitted_seconds", "waiting"])
# A column of one type each, as in the product: moto takes the boolean true for the number 1, which DynamoDB does not.
_changes = st.fixed_dictionaries(
    {},
    optional={"state": st.sampled_from(["a", "b"]), "attempt": st.sampled_from([1, 2]), "waiting": st.booleans()},
)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("create"), _changes),
        st.tuples(
            st.just("change"), _changes, _changes, st.dictionaries(st.just("submitted_seconds"), st.integers(-5, 5)), _names
        ),
        st.tuples(st.just("reserve"), st.integers(-5, 5)),
        st.tuples(st.just("read")),
    ),
    max_size=8,
)


@settings(max_examples=30, deadline=None)
@given(steps=_steps)
def test_the_table_keeps_rows_as_moto_does(moto, steps):
    key = f"row-{next(moto.numbers)}"
    real, fake = Rows(moto.dynamodb, TABLE), Rows(_fakes().dynamodb, TABLE)

    for step in steps:
        assert _do(real, key, step) == _do(fake, key, step), step


def _do(rows: Rows, key: str, step: tuple) -> Any:
    match step:
        case ("create", values):
            return rows.create(key, values)
        case ("change", changes, where, additions, removal):
            removals = (removal,) if removal not in {*changes, *additions} else ()
            if not (changes or additions or where):
                return None
            return rows.change(key, changes, where=where, additions=additions, removals=removals)
        case ("reserve", seconds):
            condition = "(attribute_not_exists(#submitted_seconds) OR #submitted_seconds < :limit)"
            return rows.change(key, {}, condition=condition, values={"limit": 7}, additions={"submitted_seconds": seconds})
        case _:
            return rows.read(key)


def test_the_index_holds_what_has_both_keys_in_the_order_of_the_second(moto, fakes):
    for client in (moto.dynamodb, fakes.dynamodb):
        rows = Rows(client, TABLE)
        for key, deadline in (("i-c", 3), ("i-a", 10), ("i-b", 2)):
            rows.create(key, {"active": "here", "deadline": deadline, "received_at": 1, "work_seconds": 1})
        rows.change("i-b", {"deadline": 5})
        rows.change("i-c", {"attempt": 1}, removals=("active",))
        rows.create("i-d", {"deadline": 1})
        page = client.query(
            TableName=TABLE,
            IndexName=ACTIVE_INDEX,
            KeyConditionExpression="#active = :active AND #deadline <= :until",
            ExpressionAttributeNames={"#active": "active", "#deadline": "deadline"},
            ExpressionAttributeValues={":active": {"S": "here"}, ":until": {"N": "10"}},
            Limit=10,
        )
        assert [item["pk"]["S"] for item in page["Items"]] == ["i-b", "i-a"]


def test_conditional_writes_of_objects_are_refused_as_by_moto(moto, fakes):
    assert _conditional_writes(moto.s3) == _conditional_writes(fakes.s3)


def _conditional_writes(s3: Any) -> list[Any]:
    where = {"Bucket": "bucket", "Key": "a"}
    put = {**where, "ContentType": "text/plain"}
    first = s3.put_object(**put, Body=b"1", IfNoneMatch="*", Metadata={"job": "j"})["ETag"]
    found = [_status(lambda: s3.put_object(**put, Body=b"2", IfNoneMatch="*"))]
    second = s3.put_object(**put, Body=b"2", IfMatch=first)["ETag"]
    found.append(_status(lambda: s3.put_object(**put, Body=b"3", IfMatch=first)))
    found.append(_status(lambda: s3.get_object(**where, IfMatch=first)))
    found.append(s3.head_object(**where)["ETag"] == second)
    s3.delete_object(**where, IfMatch=second)
    found.append(_status(lambda: s3.head_object(**where)))
    found.append(_status(lambda: s3.put_object(**put, Body=b"3", IfMatch=second)))
    s3.put_object(**put, Body=b"4", IfNoneMatch="*")
    return [*found, s3.get_object(**where)["Body"].read()]


def test_versions_are_listed_in_pages_newest_first(fakes):
    put = [fakes.bucket.put(f"incoming/{number % 700:04}", b"x") for number in range(1500)]
    found, more, calls = [], {}, 0
    while True:
        page = fakes.s3.list_object_versions(Bucket="bucket", Prefix="incoming/", **more)
        found += [(each["Key"], each["VersionId"], each["IsLatest"]) for each in page["Versions"]]
        calls += 1
        if not page["IsTruncated"]:
            break
        more = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
    newest = sorted(put, key=lambda each: (each.key, -int(each.version_id[1:])))
    assert [(key, version) for key, version, _ in found] == [(each.key, each.version_id) for each in newest]
    assert sum(latest for _, _, latest in found) == 700
    assert calls == 2


def test_the_table_refuses_what_it_does_not_know(fakes):
    rows = Rows(fakes.dynamodb, TABLE)
    with pytest.raises(UnknownExpressionError):
        rows.change("a", {"state": 1}, condition="size(#state) > :one", values={"one": 1})
    with pytest.raises(TypeError):
        fakes.dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": "a"}}, ConsistentRead=True, ReturnConsumedCapacity="TOTAL")


def _status(call: Any) -> int:
    try:
        call()
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    return 200
