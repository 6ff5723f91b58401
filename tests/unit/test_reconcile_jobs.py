"""What no notification told is found, and goes on as if it had been told."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from reconcile_jobs import handler
from tests.unit.pipeline import AUDIO_BUCKET, TABLE, TIMES, Pipeline, completed, failed, object_created, transcript
from tests.unit.wire import Crash, Wire
from transcription_jobs.job_table import JobTable
from whisperstack_contract import variables
from whisperstack_contract.job_times import JobTimes
from whisperstack_contract.jobs import job_id

LONG_AGO = {"N": "1"}


@pytest.fixture
def patient(pipeline: Pipeline, monkeypatch):  # noqa: ARG001  # which sets the variable first
    """Failures and requests that vanish are tried twice more."""
    times = JobTimes(invocation_timeout=1800, attempts=3, requeues=2)
    monkeypatch.setenv(variables.JOB_TIMES, times.to_json())


def sent(wire: Wire) -> list[str]:
    return [parameters["InferenceId"] for operation, parameters in wire.calls if operation == "InvokeEndpointAsync"]


def test_an_output_whose_notification_was_lost_is_recorded(pipeline: Pipeline, submitted, reconcile):
    source = submitted()
    pipeline.endpoint_answers(source, transcript().to_json().encode())
    assert reconcile() == {}
    pipeline.make_due(source)

    assert reconcile() == {"ResultsFound": 1}

    assert pipeline.row(source)["state"] == "succeeded"
    assert [announcement.state for announcement, _ in pipeline.announcements()] == ["succeeded"]


def test_a_failure_whose_notification_was_lost_is_recorded(pipeline: Pipeline, submitted, reconcile):
    source = submitted()
    body = b'{"error": {"code": "not_audio", "message": "no sound", "retryable": false}}'
    pipeline.change_row(source, failure_location={"S": f"s3://transcripts/failures/{job_id(source)}"}, deadline=LONG_AGO)
    pipeline.s3.put_object(Bucket="transcripts", Key=f"failures/{job_id(source)}", Body=body)

    assert reconcile() == {"ResultsFound": 1}

    assert pipeline.row(source)["error_code"] == "not_audio"


@pytest.mark.usefixtures("patient")
def test_an_invocation_that_is_noted_after_its_failure_does_not_hold_up_the_next(
    pipeline: Pipeline, submit, record, reconcile, wire: Wire
):
    """A function that is slow to note that SageMaker has its request can be overtaken by the endpoint's answer."""
    source = pipeline.upload("incoming/talk.mp3")
    # The row, a look at the upload, its copy, two calls for room, the intent, the invocation; then it is noted.
    wire.run_before_call(7, lambda: record(failed(source)))
    assert submit(object_created(source)) == [True]
    assert pipeline.row(source)["state"] == "received"
    pipeline.make_due(source)

    reconcile()

    assert sent(wire) == [f"{job_id(source)}-1", f"{job_id(source)}-2"]


def test_a_request_that_runs_is_left_alone(pipeline: Pipeline, submitted, reconcile, wire: Wire):
    source = submitted()
    pipeline.make_due(source)

    assert reconcile() == {}

    assert len(sent(wire)) == 1
    assert float(pipeline.row(source)["deadline"]) == pytest.approx(time.time() + TIMES.look, abs=60)


@pytest.mark.usefixtures("patient")
def test_a_request_that_vanished_is_sent_again_and_costs_no_attempt_until_it_has_vanished_too_often(
    pipeline: Pipeline, submitted, reconcile, wire: Wire
):
    source = submitted()
    for requeues in (1, 2):
        pipeline.change_row(source, lost_at=LONG_AGO, deadline=LONG_AGO)
        assert reconcile() == {"RequestsLost": 1}
        pipeline.make_due(source)
        reconcile()
        row = pipeline.row(source)
        assert (row["state"], row["requeues"], row["failures"]) == ("submitted", str(requeues), "0")
    pipeline.change_row(source, lost_at=LONG_AGO, deadline=LONG_AGO)

    assert reconcile() == {"JobsExpired": 1}

    assert sent(wire) == [f"{job_id(source)}-{attempt}" for attempt in (1, 2, 3)]
    assert [(end.state, end.error.code) for end, _ in pipeline.announcements()] == [("expired", "job_expired")]
    assert pipeline.active_jobs() == []


@pytest.mark.usefixtures("patient")
def test_a_failure_that_may_pass_is_tried_again_after_a_while_until_it_has_failed_too_often(
    pipeline: Pipeline, submit, submitted, record, reconcile, wire: Wire
):
    source = submitted()
    for attempt in (1, 2):
        assert record(failed(source, attempt=attempt)) == [True]
        assert pipeline.row(source)["state"] == "received"
        assert pipeline.announcements() == []
        reconcile()
        assert submit(object_created(source)) == [True]
        assert len(sent(wire)) == attempt, "before its time"
        pipeline.make_due(source)
        reconcile()
        assert len(sent(wire)) == attempt + 1
    assert record(failed(source, attempt=3)) == [True]

    assert pipeline.row(source)["state"] == "failed"
    assert [end.state for end, _ in pipeline.announcements()] == ["failed"]


@pytest.mark.usefixtures("patient")
def test_the_answer_of_an_earlier_attempt_ends_a_job_that_waits_for_its_next(pipeline: Pipeline, submitted, record, reconcile):
    source = submitted()
    record(failed(source))
    answer = pipeline.endpoint_answers(source, transcript().to_json().encode())

    assert record(failed(source), completed(source, answer)) == [True, True]

    assert pipeline.row(source)["state"] == "succeeded"
    reconcile()
    assert pipeline.row(source)["attempt"] == "1"


@pytest.mark.usefixtures("patient")
def test_a_request_that_sagemaker_says_has_expired_costs_no_attempt(pipeline: Pipeline, submitted, record):
    source = submitted()
    record(failed(source, "InternalServerError: the request expired in the queue"))

    row = pipeline.row(source)
    assert (row["state"], row["requeues"], row["failures"]) == ("received", "1", "0")


def test_a_failure_that_cannot_pass_is_not_tried_again(pipeline: Pipeline, submitted, record):
    source = submitted()
    record(failed(source, 'from model: {"error": {"code": "not_audio", "message": "m", "retryable": false}}'))

    assert pipeline.row(source)["state"] == "failed"


def test_an_intent_that_came_to_nothing_is_carried_out(pipeline: Pipeline, submit, reconcile, wire: Wire):
    source = pipeline.upload("incoming/a.mp3")
    wire.crash_before_call(6)
    with pytest.raises(Crash):
        submit(object_created(source))
    assert sent(wire) == []
    pipeline.make_due(source)

    reconcile()

    assert sent(wire) == [f"{job_id(source)}-1"]


def test_an_end_that_was_not_told_is_told(pipeline: Pipeline, submitted, record, reconcile, wire: Wire):
    source = submitted()
    answer = pipeline.endpoint_answers(source, transcript().to_json().encode())
    wire.crash_before("Publish")
    with pytest.raises(Crash):
        record(completed(source, answer))
    assert pipeline.announcements() == []
    pipeline.make_due(source)

    assert reconcile() == {"AnnouncementsFound": 1}
    assert reconcile() == {}

    assert [end.state for end, _ in pipeline.announcements()] == ["succeeded"]
    assert pipeline.active_jobs() == []


def test_an_upload_whose_event_never_came_is_found_once_a_day(pipeline: Pipeline, submitted, reconcile, monkeypatch):
    known = submitted("incoming/known.mp3")
    lost = [pipeline.upload(f"incoming/lost-{number}.mp3") for number in range(2)] + [pipeline.upload("incoming/lost-0.mp3")]
    assert reconcile() == {}, "events may still be on their way"
    tomorrow = datetime.now(UTC) + timedelta(hours=25)
    monkeypatch.setattr(handler.reconciliation().listing.jobs, "clock", lambda: tomorrow)

    assert reconcile()["UploadsFound"] == 3

    assert pipeline.jobs() == 4
    assert pipeline.row(known)["attempt"] == "1"
    assert all(pipeline.row(source)["attempt"] == "1" for source in lost)
    assert pipeline.dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": "listing"}})["Item"]["finished"] == {"BOOL": True}


def test_a_listing_goes_on_where_the_last_run_stopped(pipeline: Pipeline, reconcile, monkeypatch):
    for number in range(5):
        pipeline.upload(f"incoming/{number}.mp3")
    listing = handler.reconciliation().listing
    monkeypatch.setattr("reconcile_jobs.listing._PAGES_A_RUN", 1)
    # Uploads count as old at once.
    monkeypatch.setattr(JobTable, "now", property(lambda _: int(time.time()) + TIMES.intake + 1))
    whole = listing.s3.list_object_versions
    monkeypatch.setattr(listing.s3, "list_object_versions", lambda **parameters: whole(MaxKeys=2, **parameters))

    assert [reconcile().get("UploadsFound") for _ in range(4)] == [2, 2, 1, None]
    assert pipeline.jobs() == 5


def test_work_beyond_half_of_what_the_endpoint_can_do_in_time_waits_its_turn(
    pipeline: Pipeline, submit, record, reconcile, wire: Wire, monkeypatch
):
    monkeypatch.setenv(variables.ENDPOINT_SLOTS, "1")
    # At 128 kbit/s and as slow as speech, half of six hours are 10,800 seconds; a recording counts at most its timeout.
    sources = [pipeline.upload(f"incoming/{number}.mp3") for number in range(8)]
    size = 1800 * 16_000
    assert submit(*[object_created(source, size) for source in sources]) == [True] * 8
    assert len(sent(wire)) == 6
    assert [pipeline.row(source)["state"] for source in sources] == ["submitted"] * 6 + ["received"] * 2
    reconcile()
    assert len(sent(wire)) == 6

    # A newcomer does not overtake those who wait.
    for age, source in enumerate(sources[6:], start=1):
        pipeline.change_row(source, deadline={"N": str(age)})
    answer = completed(sources[0], pipeline.endpoint_answers(sources[0], transcript().to_json().encode()))
    record(answer)
    newcomer = pipeline.upload("incoming/newcomer.mp3")
    submit(object_created(newcomer, size))
    assert pipeline.row(newcomer)["state"] == "received"
    reconcile()
    assert [pipeline.row(source)["state"] for source in (*sources[6:], newcomer)] == ["submitted", "received", "received"]
    reconcile()
    assert pipeline.row(sources[7])["state"] == "submitted"


def test_a_recording_that_waits_can_be_deleted(pipeline: Pipeline, submit, record, reconcile, monkeypatch):
    monkeypatch.setenv(variables.ENDPOINT_SLOTS, "1")
    sources = [pipeline.upload(f"incoming/{number}.mp3") for number in range(7)]
    submit(*[object_created(source, 1800 * 16_000) for source in sources])
    pipeline.s3.delete_object(Bucket=AUDIO_BUCKET, Key=sources[6].key, VersionId=sources[6].version_id)
    for source in sources[:6]:
        record(completed(source, pipeline.endpoint_answers(source, transcript().to_json().encode())))

    reconcile()

    assert pipeline.row(sources[6])["state"] == "submitted"


def test_a_job_too_old_to_wait_expires(pipeline: Pipeline, submit, reconcile, monkeypatch):
    monkeypatch.setenv(variables.ENDPOINT_SLOTS, "1")
    sources = [pipeline.upload(f"incoming/{number}.mp3") for number in range(7)]
    submit(*[object_created(source, 1800 * 16_000) for source in sources])
    pipeline.change_row(sources[6], received_at=LONG_AGO, deadline=LONG_AGO)

    reconcile()

    assert [end.state for end, _ in pipeline.announcements()] == ["expired"]
    assert pipeline.row(sources[6])["state"] == "expired"
