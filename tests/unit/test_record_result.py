"""From the endpoint's notification to the job's end."""

import json
import re

import pytest
from botocore.stub import Stubber

from record_result import handler
from tests.unit.pipeline import (
    AUDIO_BUCKET,
    TRANSCRIPTS_BUCKET,
    Pipeline,
    completed,
    failed,
    transcript,
)
from tests.unit.strange_keys import STRANGE_KEYS
from tests.unit.wire import Wire
from whisperstack_contract.jobs import SourceVersion, job_id
from whisperstack_contract.transcript import Transcript

TRANSCRIPT = transcript().to_json().encode()


@pytest.fixture
def wire_of_record(wire: Wire, submitted) -> tuple[Wire, SourceVersion]:
    source = submitted()
    wire.calls.clear()
    return wire, source


def test_a_transcript_becomes_four_files_and_an_announcement(pipeline: Pipeline, submitted, record):
    source = submitted()

    assert record(completed(source, pipeline.endpoint_answers(source, TRANSCRIPT))) == [True]

    names = {suffix: f"transcripts/talk.mp3.{suffix}" for suffix in ("json", "txt", "srt", "vtt")}
    assert pipeline.keys(TRANSCRIPTS_BUCKET, "transcripts/") == set(names.values())
    assert Transcript.from_json(pipeline.body(names["json"])).whisperstack.job_id == job_id(source)
    assert pipeline.body(names["txt"]) == "Ask not.\n"
    assert pipeline.body(names["srt"]) == "1\n00:00:00,000 --> 00:00:02,000\nAsk not.\n"
    assert pipeline.body(names["vtt"]) == "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nAsk not.\n"
    ((announcement, attributes),) = pipeline.announcements()
    assert attributes == {"state": "succeeded"}
    assert announcement.event_id == f"{job_id(source)}:succeeded"
    assert (announcement.source, announcement.outputs, announcement.current) == (source, names, True)
    assert announcement.error is None
    row = pipeline.row(source)
    assert row["state"] == "succeeded"
    assert row["announced_at"] >= row["ended_at"]
    assert pipeline.active_jobs() == []


def test_files_say_what_they_are_and_that_they_are_utf_8(pipeline: Pipeline, submitted, record):
    source = submitted()
    record(completed(source, pipeline.endpoint_answers(source, transcript("Grüße 会議").to_json().encode())))

    types = {
        suffix: pipeline.s3.head_object(Bucket=TRANSCRIPTS_BUCKET, Key=f"transcripts/talk.mp3.{suffix}")["ContentType"]
        for suffix in ("json", "txt", "srt", "vtt")
    }
    assert types == {
        "json": "application/json; charset=utf-8",
        "txt": "text/plain; charset=utf-8",
        "srt": "application/x-subrip; charset=utf-8",
        "vtt": "text/vtt; charset=utf-8",
    }
    assert pipeline.body("transcripts/talk.mp3.txt") == "Grüße 会議\n"


def test_objects_come_before_the_end_state_and_the_announcement_after(pipeline: Pipeline, wire_of_record, record):
    wire, source = wire_of_record
    record(completed(source, pipeline.endpoint_answers(source, TRANSCRIPT)))

    steps = [name for name in wire.operations if name in ("PutObject", "UpdateItem", "Publish")]
    # Under the job's id, then under the upload's name; the end; the announcement and its mark; and what was learned of it.
    assert steps == ["PutObject"] * 8 + ["UpdateItem", "Publish", "UpdateItem", "UpdateItem"]


@pytest.mark.parametrize("key", STRANGE_KEYS.values(), ids=STRANGE_KEYS)
def test_any_key_that_s3_takes_gets_its_transcript(pipeline: Pipeline, submitted, record, key: str):
    source = submitted(key)

    assert record(completed(source, pipeline.endpoint_answers(source, TRANSCRIPT))) == [True]

    ((announcement, _),) = pipeline.announcements()
    assert announcement.source.key == key
    assert announcement.current
    assert pipeline.body(announcement.outputs["txt"]) == "Ask not.\n"


def test_an_error_does_not_touch_the_transcript_of_an_upload_of_a_similar_name(pipeline: Pipeline, submitted, record):
    plain, error_like = submitted("incoming/a"), submitted("incoming/a.error")

    record(completed(error_like, pipeline.endpoint_answers(error_like, TRANSCRIPT)), failed(plain))
    record(completed(plain, pipeline.endpoint_answers(plain, TRANSCRIPT)))

    assert pipeline.keys(TRANSCRIPTS_BUCKET, "transcripts/a.error.json") == {"transcripts/a.error.json"}
    assert pipeline.keys(TRANSCRIPTS_BUCKET, "errors/") == {"errors/a.error.json"}


def test_a_result_of_an_overwritten_upload_lies_under_its_job(pipeline: Pipeline, submitted, record):
    old = submitted()
    new = submitted()
    record(completed(new, pipeline.endpoint_answers(new, transcript("new").to_json().encode())))
    record(completed(old, pipeline.endpoint_answers(old, transcript("old").to_json().encode())))

    assert pipeline.body("transcripts/talk.mp3.txt") == "new\n"
    assert pipeline.body(f"versions/{job_id(old)}.txt") == "old\n"
    assert [announcement.current for announcement, _ in pipeline.announcements()] == [True, False]


def test_a_failure_of_an_overwritten_upload_leaves_the_new_ones_results_alone(pipeline: Pipeline, submitted, record):
    old = submitted()
    submitted()

    record(failed(old))

    assert pipeline.keys(TRANSCRIPTS_BUCKET, "errors/") == set()
    assert "inference_failed" in pipeline.body(f"versions/{job_id(old)}.error.json")


def test_a_result_of_a_deleted_upload_lies_under_its_job(pipeline: Pipeline, submitted, record):
    source = submitted()
    pipeline.s3.delete_object(Bucket=AUDIO_BUCKET, Key=source.key)

    record(completed(source, pipeline.endpoint_answers(source, TRANSCRIPT)))

    assert pipeline.keys(TRANSCRIPTS_BUCKET, "transcripts/") == set()
    assert len(pipeline.keys(TRANSCRIPTS_BUCKET, f"versions/{job_id(source)}.")) == 4


def test_a_success_removes_the_error_of_the_version_before(pipeline: Pipeline, submitted, record):
    record(failed(submitted()))
    assert pipeline.keys(TRANSCRIPTS_BUCKET, "errors/")
    source = submitted()

    record(completed(source, pipeline.endpoint_answers(source, TRANSCRIPT)))

    assert pipeline.keys(TRANSCRIPTS_BUCKET, "errors/") == set()


def test_a_success_without_an_error_before_it_leaves_no_delete_marker(pipeline: Pipeline, submitted, record, wire: Wire):
    """S3 adds one for every deletion in a versioned bucket, whether or not there is an object; moto does not."""
    source = submitted()
    record(completed(source, pipeline.endpoint_answers(source, TRANSCRIPT)))

    assert "DeleteObject" not in wire.operations


def test_the_output_is_read_where_the_row_says_before_where_the_notification_says(pipeline: Pipeline, submitted, record):
    source = submitted()
    pipeline.s3.put_object(Bucket=TRANSCRIPTS_BUCKET, Key="raw/row", Body=transcript("row").to_json().encode())
    pipeline.change_row(source, output_location={"S": f"s3://{TRANSCRIPTS_BUCKET}/raw/row"})

    record(completed(source, pipeline.endpoint_answers(source, transcript("notification").to_json().encode())))

    assert pipeline.body("transcripts/talk.mp3.txt") == "row\n"


@pytest.mark.parametrize(
    "place", ["s3://elsewhere/raw/x", f"s3://{TRANSCRIPTS_BUCKET}/transcripts/x", "https://elsewhere/raw/x", ""]
)
def test_only_the_endpoints_own_output_is_read(pipeline: Pipeline, submitted, record, place: str):
    pipeline.s3.create_bucket(Bucket="elsewhere")
    for bucket, key in (("elsewhere", "raw/x"), (TRANSCRIPTS_BUCKET, "transcripts/x")):
        pipeline.s3.put_object(Bucket=bucket, Key=key, Body=TRANSCRIPT)
    source = submitted()

    assert record(completed(source, place)) == [False]

    assert pipeline.row(source)["state"] == "submitted"


def test_an_output_that_is_not_there_is_looked_for_again(pipeline: Pipeline, submitted, record):
    source = submitted()

    assert record(completed(source, f"s3://{TRANSCRIPTS_BUCKET}/raw/none")) == [False]

    assert pipeline.row(source)["state"] == "submitted"
    assert pipeline.active_jobs() == [job_id(source)]


def test_an_output_that_may_not_be_read_is_tried_again(pipeline: Pipeline, submitted, record):
    source = submitted()
    notification = completed(source, pipeline.endpoint_answers(source, TRANSCRIPT))
    with Stubber(handler.room().recording.output._s3) as s3:
        s3.add_client_error("get_object", "AccessDenied", http_status_code=403)
        assert record(notification) == [False]

    assert record(notification) == [True]


def test_a_result_of_a_job_without_a_row_is_not_swallowed(pipeline: Pipeline, record):
    source = pipeline.upload("incoming/a.mp3")

    assert record(completed(source, pipeline.endpoint_answers(source, TRANSCRIPT)), failed(source)) == [False, False]

    assert pipeline.jobs() == 0
    assert pipeline.keys(TRANSCRIPTS_BUCKET, "transcripts/") == set()


def test_a_result_of_a_job_that_was_never_submitted_is_not_swallowed(pipeline: Pipeline, submitted, record):
    source = submitted()
    pipeline.change_row(source, state={"S": "received"}, attempt={"N": "0"})

    assert record(failed(source)) == [False]


@pytest.mark.parametrize("message", [{}, {"endpointName": "whisper"}, {"message": "This is a test message"}])
def test_test_messages_of_the_endpoint_are_acknowledged_and_counted(pipeline: Pipeline, record, capsys, message):
    assert record(message) == [True]

    assert '"EndpointTestMessages":[1.0]' in capsys.readouterr().out
    assert pipeline.announcements() == []


@pytest.mark.parametrize("inference_id", ["3f2504e0-4f89-11d3-9a0c-0305e82c3301", "", None, 7, "a" * 52 + "-0"])
def test_results_of_foreign_requests_are_acknowledged_and_counted(pipeline: Pipeline, record, capsys, log, inference_id):
    source = SourceVersion(AUDIO_BUCKET, "incoming/a", "v")

    assert record({**completed(source, ""), "inferenceId": inference_id}) == [True]

    assert '"ForeignResults":[1.0]' in capsys.readouterr().out
    assert '"level":"WARNING"' in log.getvalue()
    assert pipeline.announcements() == []


def test_an_sns_envelope_is_not_taken_for_a_test_message(submitted, record):
    source = submitted()
    envelope = {"Type": "Notification", "TopicArn": "arn", "Message": json.dumps(failed(source))}

    assert record(envelope) == [False]


def test_logs_name_jobs_and_neither_keys_nor_transcripts(pipeline: Pipeline, submitted, record, log):
    source = submitted("incoming/secret name.mp3")
    answer = transcript("secret words").to_json().encode()
    record(completed(source, "s3://elsewhere/secret name"))
    record(completed(source, pipeline.endpoint_answers(source, answer)))
    unusable = submitted("incoming/secret name.mp3")
    record(completed(unusable, pipeline.endpoint_answers(unusable, answer.replace(b'"duration": 2.0', b'"duration": "x"'))))

    assert pipeline.row(unusable)["state"] == "failed"
    assert len(re.findall(job_id(source), log.getvalue())) >= 2
    assert "secret" not in log.getvalue()


@pytest.mark.parametrize(("ends", "metric"), [(True, "JobsSucceeded"), (False, "JobsFailed")])
def test_ends_are_counted_once(pipeline: Pipeline, submitted, record, capsys, ends: bool, metric: str):
    source = submitted()
    result = completed(source, pipeline.endpoint_answers(source, TRANSCRIPT)) if ends else failed(source)

    record(result, result)

    assert capsys.readouterr().out.count(f'"{metric}":[1.0]') == 1
