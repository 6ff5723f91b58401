"""Results that come twice, late, in the wrong order or at the same time; and a recording function that dies in between."""

import time
from collections.abc import Callable

import pytest
from botocore.stub import Stubber

from record_result import handler
from tests.unit.pipeline import TRANSCRIPTS_BUCKET, Pipeline, completed, failed, object_created, transcript
from tests.unit.wire import Crash, Wire
from whisperstack_contract.jobs import SourceVersion, job_id


@pytest.fixture
def source(pipeline: Pipeline, submit) -> SourceVersion:
    return _submitted(pipeline, submit)


def _submitted(pipeline: Pipeline, submit) -> SourceVersion:
    source = pipeline.upload("incoming/a.mp3")
    assert submit(object_created(source)) == [True]
    return source


def _success(pipeline: Pipeline, source: SourceVersion, attempt: int = 1) -> dict:
    body = transcript(f"attempt {attempt}").to_json().encode()
    return completed(source, pipeline.endpoint_answers(source, body, attempt), attempt)


def _end(pipeline: Pipeline, source: SourceVersion) -> tuple[str, list[str], set[str]]:
    """State in the table, states announced since the last call, error documents."""
    announced = [announcement.state.value for announcement, _ in pipeline.announcements()]
    return pipeline.row(source)["state"], announced, pipeline.keys(TRANSCRIPTS_BUCKET, "errors/")


def test_a_repeated_success_changes_nothing(pipeline: Pipeline, source, record):
    success = _success(pipeline, source)
    assert record(success, success) == [True, True]
    before = pipeline.row(source)
    assert record(success) == [True]

    assert _end(pipeline, source) == ("succeeded", ["succeeded"], set())
    assert pipeline.row(source) == before


def test_a_failure_after_a_success_changes_nothing(pipeline: Pipeline, source, record):
    record(_success(pipeline, source))
    assert record(failed(source)) == [True]

    assert _end(pipeline, source) == ("succeeded", ["succeeded"], set())


def test_a_success_after_a_failure_comes_too_late(pipeline: Pipeline, source, record):
    record(failed(source))
    assert record(_success(pipeline, source)) == [True]

    assert _end(pipeline, source) == ("failed", ["failed"], {"errors/a.mp3.error.json"})
    assert pipeline.keys(TRANSCRIPTS_BUCKET, "transcripts/") == set()


def test_the_success_of_an_earlier_attempt_counts(pipeline: Pipeline, source, record):
    pipeline.change_row(
        source, attempt={"N": "2"}, output_location={"S": f"s3://{TRANSCRIPTS_BUCKET}/raw/{job_id(source)}/2/none"}
    )
    assert record(_success(pipeline, source, attempt=1)) == [True]

    assert _end(pipeline, source)[0] == "succeeded"
    assert pipeline.body("transcripts/a.mp3.txt") == "attempt 1\n"


def test_the_failure_of_an_earlier_attempt_does_not_count(pipeline: Pipeline, source, record):
    pipeline.change_row(source, attempt={"N": "2"})
    answer = pipeline.endpoint_answers(source, b'{"error": {"code": "not_audio", "message": "m", "retryable": false}}')

    assert record(failed(source, attempt=1), completed(source, answer, attempt=1)) == [True, True]
    assert _end(pipeline, source) == ("submitted", [], set())

    assert record(failed(source, attempt=2)) == [True]
    assert _end(pipeline, source)[0] == "failed"


def test_two_deliveries_of_one_success_at_the_same_time_end_the_job_once(pipeline: Pipeline, source, record, wire: Wire):
    success = _success(pipeline, source)
    wire.run_before_state("succeeded", lambda: record(success))

    assert record(success) == [True]

    assert _end(pipeline, source) == ("succeeded", ["succeeded"], set())


def test_two_deliveries_of_one_failure_at_the_same_time_leave_its_error(pipeline: Pipeline, source, record, wire: Wire):
    wire.run_before_state("failed", lambda: record(failed(source)))

    assert record(failed(source)) == [True]

    assert _end(pipeline, source) == ("failed", ["failed"], {"errors/a.mp3.error.json"})


def test_a_success_counts_though_a_new_attempt_overtakes_it(pipeline: Pipeline, source, record, wire: Wire):
    success = _success(pipeline, source, attempt=1)
    wire.run_before_state("succeeded", lambda: pipeline.change_row(source, attempt={"N": "2"}))

    assert record(success) == [True]

    assert _end(pipeline, source) == ("succeeded", ["succeeded"], set())


def test_a_success_that_overtakes_a_failure_wins(pipeline: Pipeline, source, record, wire: Wire):
    wire.run_before_state("failed", lambda: record(_success(pipeline, source)))

    assert record(failed(source)) == [True]

    assert _end(pipeline, source) == ("succeeded", ["succeeded"], set())


def test_a_failure_that_overtakes_a_success_wins(pipeline: Pipeline, source, record, wire: Wire):
    success = _success(pipeline, source)
    wire.run_before_state("succeeded", lambda: record(failed(source)))

    assert record(success) == [True]

    assert _end(pipeline, source) == ("failed", ["failed"], {"errors/a.mp3.error.json"})


def test_a_new_attempt_that_overtakes_a_failure_goes_on(pipeline: Pipeline, source, record, wire: Wire):
    wire.run_before_state("failed", lambda: pipeline.change_row(source, attempt={"N": "2"}))

    assert record(failed(source, attempt=1)) == [True]

    assert _end(pipeline, source) == ("submitted", [], set())


def test_a_result_that_overtakes_the_note_of_its_invocation_is_recorded(pipeline: Pipeline, submit, record, wire: Wire):
    source = pipeline.upload("incoming/a.mp3")
    success = _success(pipeline, source)
    wire.crash_before_call(7)
    with pytest.raises(Crash):
        submit(object_created(source))
    assert "invoked_at" not in pipeline.row(source)

    assert record(success) == [True]
    assert submit(object_created(source)) == [True]

    assert _end(pipeline, source) == ("succeeded", ["succeeded"], set())
    assert wire.operations.count("InvokeEndpointAsync") == 1


@pytest.mark.parametrize("state", ["succeeded", "failed"])
def test_a_job_ends_once_and_is_announced_wherever_the_function_dies(
    new_pipeline: Callable[[], Pipeline], submit, record, wire: Wire, state: str
):
    def deliver(pipeline: Pipeline, source: SourceVersion) -> list[bool]:
        return record(_success(pipeline, source) if state == "succeeded" else failed(source))

    def start() -> tuple[Pipeline, SourceVersion]:
        pipeline = new_pipeline()
        source = _submitted(pipeline, submit)
        wire.calls.clear()
        return pipeline, source

    deliver(*start())
    for number in range(len(wire.calls)):
        pipeline, source = start()
        wire.crash_before_call(number)
        with pytest.raises(Crash):
            deliver(pipeline, source)
        ended_before = pipeline.row(source).get("ended_at")
        told_before = "announced_at" in pipeline.row(source)
        if ended_before and not told_before:
            # Whoever ended it may still be at it; until that cannot be, nobody else tells.
            assert deliver(pipeline, source) == [True]
            assert "announced_at" not in pipeline.row(source)
            pipeline.make_due(source)

        assert deliver(pipeline, source) == [True], number

        row = pipeline.row(source)
        assert row["state"] == state
        assert ended_before in (None, row["ended_at"])
        announced = [announcement for announcement, _ in pipeline.announcements()]
        assert {announcement.event_id for announcement in announced} == {f"{job_id(source)}:{state}"}
        assert len(announced) == (2 if number == wire.operations.index("Publish") + 1 else 1)
        for key in announced[0].outputs.values():
            assert pipeline.body(key)
        assert pipeline.active_jobs() == []


def test_an_announcement_never_precedes_its_objects(pipeline: Pipeline, source, record, wire: Wire):
    seen: list[str] = []
    success = _success(pipeline, source)
    wire.run_before_state("succeeded", lambda: seen.extend(sorted(pipeline.keys(TRANSCRIPTS_BUCKET, "transcripts/"))))

    record(success)

    assert seen == [f"transcripts/a.mp3.{suffix}" for suffix in ("json", "srt", "txt", "vtt")]


def test_an_end_stays_in_the_index_until_it_is_announced(pipeline: Pipeline, source, record):
    success = _success(pipeline, source)
    with Stubber(handler.room().recording.outbox._sns) as sns:
        sns.add_client_error("publish", "Throttled")
        assert record(success) == [False]
    assert pipeline.row(source)["state"] == "succeeded"
    assert pipeline.active_jobs() == [job_id(source)]
    assert float(pipeline.row(source)["deadline"]) < time.time() + 3600
    pipeline.make_due(source)

    assert record(success) == [True]

    assert _end(pipeline, source) == ("succeeded", ["succeeded"], set())
    assert pipeline.active_jobs() == []


def test_the_row_is_read_consistently(pipeline: Pipeline, source, record, wire: Wire):
    """A stale row would bring back a job that has ended."""
    record(_success(pipeline, source))

    reads = [parameters for operation, parameters in wire.calls if operation == "GetItem"]
    assert reads
    assert all(read["ConsistentRead"] is True for read in reads)
