"""A batch is killed, and started again: what is stored is collected, what runs is waited for, and nothing is done twice."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.client import BaseClient

from batch_runs.run_rows import RunTakenOverError
from tests.unit.batch import GOOD, PREFIX, Batch
from tests.unit.pipeline import Pipeline, object_created
from whisperstack_contract.jobs import job_id

LONG_AGO = {"N": "1"}


@pytest.fixture
def uploads(pipeline: Pipeline) -> list[str]:
    return [job_id(pipeline.upload(f"{PREFIX}{number}.mp3")) for number in range(3)]


def begin(batch: Batch, execution: str) -> dict[str, Any]:
    """An execution up to its only transform job."""
    assert batch.recover(execution)["status"] == "ready"
    batch.page(execution)
    (item,) = batch.items(batch.share(execution))
    return item


def test_outputs_of_a_killed_execution_are_collected_and_not_transcribed_again(
    batch: Batch, pipeline: Pipeline, uploads: list[str]
):
    killed = batch.start()
    batch.transform(begin(batch, killed))
    batch.kill(killed)

    summary = batch.run()

    assert (summary["counts"]["succeeded"], summary["state"]) == (3, "complete")
    assert batch.calls == dict.fromkeys(uploads, 1)
    assert len(batch.jobs) == 1
    assert pipeline.active_jobs() == []


def test_what_a_killed_execution_had_not_transcribed_is_transcribed(batch: Batch, pipeline: Pipeline, uploads: list[str]):
    killed = batch.start()
    item = begin(batch, killed)
    stored = f"{item['output'].removeprefix('s3://transcripts/')}{uploads[0]}.out"
    pipeline.s3.put_object(Bucket="transcripts", Key=stored, Body=GOOD)
    pipeline.upload(f"{PREFIX}new.mp3")
    batch.kill(killed)

    summary = batch.run()

    assert summary["counts"]["succeeded"] == 4
    assert uploads[0] not in batch.calls
    assert set(batch.calls.values()) == {1}


def test_a_transform_job_that_still_runs_is_waited_for(batch: Batch, uploads: list[str]):
    killed = batch.start()
    item = begin(batch, killed)
    batch.transform(item, status="InProgress")
    batch.kill(killed)
    execution = batch.start()

    assert batch.recover(execution)["status"] == "waiting"
    assert batch.recover(execution) | {"transform_jobs": 1, "status": "waiting"} == batch.recover(execution)
    assert batch.job(f"{item['job_name']}-0-0").transform_job_status == "InProgress"
    batch.job(f"{item['job_name']}-0-0").transform_job_status = "Completed"

    assert batch.run(execution)["counts"]["succeeded"] == 3
    assert batch.calls == dict.fromkeys(uploads, 1)


def test_a_transform_job_whose_outputs_nobody_waits_for_is_stopped(
    batch: Batch, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
):
    source = pipeline.upload(f"{PREFIX}a.mp3")
    killed = batch.start()
    item = begin(batch, killed)
    name = f"{item['job_name']}-0-0"
    batch.create(item, name)
    batch.job(name).transform_job_status = "InProgress"
    batch.kill(killed)
    pipeline.change_row(source, state={"S": "received"}, batch={"S": "gone"})
    stopped = []
    # moto has no StopTransformJob.
    make_call = BaseClient._make_api_call

    def stop(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        if operation != "StopTransformJob":
            return make_call(client, operation, parameters)
        stopped.append(parameters["TransformJobName"])
        batch.job(name).transform_job_status = "Stopping"
        return {}

    monkeypatch.setattr(BaseClient, "_make_api_call", stop)
    execution = batch.start()

    assert batch.recover(execution)["status"] == "waiting"
    assert batch.recover(execution)["status"] == "waiting"
    batch.job(name).transform_job_status = "Stopped"

    assert batch.recover(execution)["status"] == "ready"
    assert stopped == [name]


def test_the_transform_jobs_of_another_batch_are_none_of_its_business(batch: Batch, pipeline: Pipeline):
    pipeline.upload("batch/tuesday/a.mp3")
    execution = batch.start()
    batch.recover(execution, "batch/tuesday/")
    batch.page(execution, "batch/tuesday/")
    (item,) = batch.items(batch.share(execution, prefix="batch/tuesday/"))
    batch.transform(item, status="InProgress")

    assert batch.recover(batch.start())["status"] == "ready"


def test_of_two_executions_at_a_time_the_second_stands_back(batch: Batch, uploads: list[str]):
    first, second = batch.start(), batch.start()
    item = begin(batch, first)

    assert batch.run(second) == {
        "status": "busy",
        "transform_jobs": 0,
        "other": first,
        "wait_seconds": 60,
        "prefix": PREFIX,
        "token": batch.recover(second)["token"],
    }

    batch.transform(item)
    assert batch.collect(first, item) == {"succeeded": 3}
    assert batch.report(first)["state"] == "complete"
    assert batch.run(second)["counts"]["done"] == 3
    assert batch.calls == dict.fromkeys(uploads, 1)


def test_the_longer_a_run_has_waited_the_longer_it_waits_for_the_next_look(batch: Batch):
    batch.recover(batch.start())
    second = batch.start()

    def told(**waited: int) -> int:
        started_at = (datetime.now(UTC) - timedelta(**waited)).isoformat()
        given = {"input": {"prefix": PREFIX}, "started_at": started_at, "poll_seconds": 60}
        return batch.plan("recover", second, **given)["wait_seconds"]

    assert told(minutes=1) == 60
    assert told(hours=10) == 360
    assert told(days=13) == 1800


def test_an_execution_that_was_taken_over_plans_and_reports_nothing_and_collects_what_is_stored(
    batch: Batch, uploads: list[str]
):
    killed = batch.start()
    item = begin(batch, killed)
    batch.transform(item)
    batch.kill(killed)
    taken_over = batch.start()
    batch.recover(taken_over)

    for act in (batch.page, batch.share, batch.leftovers, batch.report):
        with pytest.raises(RunTakenOverError, match="another execution has taken over the batch"):
            act(killed)
    assert batch.collect(killed, item) == {"succeeded": 3}
    assert batch.run(taken_over)["counts"]["done"] == 3
    assert batch.calls == dict.fromkeys(uploads, 1)


def test_recordings_of_another_batch_or_of_the_endpoint_are_left_alone(batch: Batch, pipeline: Pipeline, submit):
    at_the_endpoint = pipeline.upload(f"{PREFIX}a.mp3")
    submit(object_created(at_the_endpoint))
    pipeline.upload("batch/monday/inner/b.mp3")
    inner = batch.start()
    batch.recover(inner, f"{PREFIX}inner/")
    batch.page(inner, f"{PREFIX}inner/")

    summary = batch.run()

    assert {name: count for name, count in summary["counts"].items() if count} == {"in_flight": 2}
    assert batch.jobs == []


def test_a_batch_that_is_alive_keeps_its_overdue_jobs(batch: Batch, pipeline: Pipeline, reconcile):
    source = pipeline.upload(f"{PREFIX}a.mp3")
    begin(batch, batch.start())
    pipeline.make_due(source)

    assert reconcile() == {}

    row = pipeline.row(source)
    assert row["state"] == "submitted"
    assert row["batch"] == PREFIX
    assert pipeline.active_jobs() == [job_id(source)]


def silent(pipeline: Pipeline) -> None:
    """Lets the batch be without a sign of life for too long."""
    pipeline.dynamodb.update_item(
        TableName="jobs",
        Key={"pk": {"S": f"batch:{PREFIX}"}},
        AttributeUpdates={"alive_until": {"Action": "PUT", "Value": LONG_AGO}},
    )


def test_jobs_of_a_batch_that_fell_silent_get_their_turn_at_the_endpoint(batch: Batch, pipeline: Pipeline, reconcile):
    source = pipeline.upload(f"{PREFIX}a.mp3")
    begin(batch, batch.start())
    pipeline.change_row(source, received_at=LONG_AGO)
    silent(pipeline)
    pipeline.make_due(source)

    assert reconcile() == {"RequestsLost": 1}

    pipeline.make_due(source)
    reconcile()
    row = pipeline.row(source)
    assert (row["state"], row["attempt"], "batch" in row) == ("submitted", "2", False)
    assert float(row["deadline"]) <= float(row["lost_at"])


def test_a_stored_output_of_a_batch_that_fell_silent_is_recorded(batch: Batch, pipeline: Pipeline, reconcile):
    source = pipeline.upload(f"{PREFIX}a.mp3")
    batch.transform(begin(batch, batch.start()))
    silent(pipeline)
    pipeline.make_due(source)

    assert reconcile() == {"ResultsFound": 1}

    assert pipeline.row(source)["state"] == "succeeded"
    assert [end.state for end, _ in pipeline.announcements()] == ["succeeded"]
    assert batch.calls == {job_id(source): 1}


def test_a_batch_takes_no_room_at_the_endpoint(batch: Batch, pipeline: Pipeline, submit, reconcile):
    pipeline.upload(f"{PREFIX}a.mp3")
    begin(batch, batch.start())
    reconcile()

    assert submit(object_created(pipeline.upload("incoming/a.mp3"))) == [True]

    admission = pipeline.dynamodb.get_item(TableName="jobs", Key={"pk": {"S": "admission"}})["Item"]
    assert admission["submitted_seconds"] == {"N": "1"}
