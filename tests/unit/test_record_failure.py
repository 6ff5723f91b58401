"""From a failed attempt, or an answer that is no transcript, to an error that its user understands."""

import pytest

from tests.unit.pipeline import TRANSCRIPTS_BUCKET, Pipeline, completed, failed
from whisperstack_contract.errors import ErrorDocument

NOT_AUDIO = ErrorDocument("not_audio", "the file is a picture; upload a recording", retryable=False)


def test_a_failure_becomes_an_error_document_and_an_announcement(pipeline: Pipeline, submitted, record):
    source = submitted()

    assert record(failed(source, "ClientError: Received server error (500) from model.")) == [True]

    error = ErrorDocument.from_json(pipeline.body("errors/talk.mp3.error.json"))
    assert (error.code, error.retryable) == ("inference_failed", True)
    assert "Received server error (500) from model" in error.message
    ((announcement, attributes),) = pipeline.announcements()
    assert attributes == {"state": "failed", "code": "inference_failed"}
    assert (announcement.error, announcement.outputs) == (error, {"error": "errors/talk.mp3.error.json"})
    row = pipeline.row(source)
    assert (row["state"], row["error_code"]) == ("failed", "inference_failed")


def _failure_object(pipeline: Pipeline, body: bytes, key: str = "failures/x-error.out") -> str:
    pipeline.s3.put_object(Bucket=TRANSCRIPTS_BUCKET, Key=key, Body=body)
    return f"s3://{TRANSCRIPTS_BUCKET}/{key}"


def test_the_handlers_own_error_is_told_if_the_row_knows_where_it_is(pipeline: Pipeline, submitted, record):
    source = submitted()
    pipeline.change_row(source, failure_location={"S": _failure_object(pipeline, NOT_AUDIO.to_json().encode())})

    record(failed(source))

    assert pipeline.announcements()[0][0].error == NOT_AUDIO


def test_the_handlers_own_error_is_told_if_the_notification_knows_where_it_is(pipeline: Pipeline, submitted, record):
    source = submitted()
    location = _failure_object(pipeline, NOT_AUDIO.to_json().encode())

    record(failed(source, failureLocation=location))

    assert pipeline.announcements()[0][0].error == NOT_AUDIO


@pytest.mark.parametrize("body", [b"<html>", b"", None])
def test_a_failure_object_that_tells_nothing_leaves_the_reason(pipeline: Pipeline, submitted, record, body: bytes | None):
    source = submitted()
    missing = f"s3://{TRANSCRIPTS_BUCKET}/failures/none.out"
    location = missing if body is None else _failure_object(pipeline, body)

    assert record(failed(source, f"from model: {NOT_AUDIO.to_json()}. See the log", failureLocation=location)) == [True]

    assert pipeline.announcements()[0][0].error == NOT_AUDIO


@pytest.mark.parametrize("place", ["s3://elsewhere/failures/x", f"s3://{TRANSCRIPTS_BUCKET}/transcripts/x"])
def test_only_the_endpoints_own_failures_are_read(pipeline: Pipeline, submitted, record, place: str):
    pipeline.s3.create_bucket(Bucket="elsewhere")
    bucket, _, key = place.removeprefix("s3://").partition("/")
    pipeline.s3.put_object(Bucket=bucket, Key=key, Body=NOT_AUDIO.to_json().encode())
    source = submitted()

    record(failed(source, "it broke", failureLocation=place))

    assert pipeline.announcements()[0][0].error.code == "inference_failed"


@pytest.mark.parametrize("body", [NOT_AUDIO.to_json().encode(), b'{"text": "hello"}', b"<html>", b"", b"\xff\xfe"])
def test_an_answer_that_is_no_transcript_is_a_failure(pipeline: Pipeline, submitted, record, body: bytes):
    source = submitted()

    assert record(completed(source, pipeline.endpoint_answers(source, body))) == [True]

    expected = NOT_AUDIO.code if body.startswith(b'{"error"') else "inference_failed"
    assert pipeline.row(source)["error_code"] == expected
    assert pipeline.keys(TRANSCRIPTS_BUCKET, "transcripts/") == set()
