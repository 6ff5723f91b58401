"""Whatever the endpoint wrote, or SageMaker says of a failure, becomes renderings or an error that can be stored."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from record_result.failure import error_from_reason
from tests.unit.pipeline import transcript
from tests.unit.test_notification import json_values
from transcription_jobs.endpoint_output import Result, read_result
from whisperstack_contract.errors import ErrorDocument
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.transcript import Transcript

ERROR = ErrorDocument("no_audio_track", 'the file "a" has no audio track {1}; upload another', retryable=False)
VALID = json.loads(transcript().to_json())


def assert_storable(error: ErrorDocument) -> None:
    assert error.code
    assert len(error.message.encode()) <= 16_000


def test_the_transcript_is_told_its_job():
    result = read_result(transcript().to_json().encode(), "job", TranscriptionOptions())
    assert isinstance(result, Result)
    renderings = result.renderings

    assert Transcript.from_json(renderings["json"]).whisperstack.job_id == "job"
    assert renderings.keys() == {"json", "txt", "srt", "vtt"}


@pytest.mark.parametrize("formats", [(), ("tsv",), ("json", "vtt", "txt")])
def test_only_what_was_asked_for_is_rendered_and_the_json_always(formats: tuple[str, ...]):
    result = read_result(transcript().to_json().encode(), "job", TranscriptionOptions(formats=formats))

    assert isinstance(result, Result)
    assert result.renderings.keys() == {"json", *formats}


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 100_000)
@example(b'{"error": {"code": "", "message": "m", "retryable": false}}')
@example(b'{"error": {"code": "not_audio", "message": "\\ud800", "retryable": false}}')
@example(b'{"whisperstack": {"schema_version": "\\ud800"}}')
def test_no_output_makes_the_reader_fail(body: bytes):
    assert_storable(read_result(body, "job", TranscriptionOptions()))


@given(st.sampled_from(sorted(VALID)), json_values)
def test_no_odd_field_makes_the_reader_fail(field: str, value: object):
    found = read_result(json.dumps(VALID | {field: value}).encode(), "job", TranscriptionOptions())
    if isinstance(found, ErrorDocument):
        assert_storable(found)


@given(st.sampled_from(sorted(VALID["segments"][0])), json_values)
@example("text", "\ud800")
@example("text", None)
@example("start", float("nan"))
@example("end", 1e308)
@example("end", 10**400)
@example("avg_logprob", float("-inf"))
def test_no_odd_segment_makes_the_reader_fail(field: str, value: object):
    segment = VALID["segments"][0] | {field: value}
    found = read_result(json.dumps(VALID | {"segments": [segment]}).encode(), "job", TranscriptionOptions())
    if isinstance(found, ErrorDocument):
        assert_storable(found)


@pytest.mark.parametrize(
    "reason",
    [
        f"ClientError: Received client error (422) from primary with message '{ERROR.to_json()}'. See https://log",
        f"Received client error (422) with message {json.dumps(ERROR.to_json())}. See the log",
        f'{{"noise": 1}} {{"error": "no"}} {ERROR.to_json()}',
        ERROR.to_json(),
    ],
)
def test_an_error_quoted_in_the_reason_is_found(reason: str):
    assert error_from_reason(reason) == ERROR


@pytest.mark.parametrize("reason", ['{"error": ', '{"error":{"error":' * 50_000, '{"error": {"code": "Not A Code"}}'])
def test_a_broken_quotation_leaves_the_reason_itself(reason: str):
    error = error_from_reason(reason)

    assert error.code == "inference_failed"
    assert reason[:9] in error.message
    assert len(error.message) < 500


def test_a_failure_without_a_reason_says_so():
    assert "it gave no reason" in error_from_reason(" \n ").message


@given(st.text(max_size=2000) | st.text('{}"error:\\[] '))
@example("\ud800")
def test_every_reason_becomes_an_error_that_can_be_stored(reason: str):
    assert_storable(error_from_reason(reason))
