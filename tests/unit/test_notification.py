"""Whatever arrives in the results queue is told apart, or refused with ValueError."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from record_result.notification import Completed, EndpointTest, Failed, ForeignResult, parse_notification

JOB = "a" * 52

SUCCESS = {
    "awsRegion": "us-east-1",
    "eventTime": "2026-11-22T10:00:05.000Z",
    "receivedTime": "2026-11-22T10:00:00.000Z",
    "invocationStatus": "Completed",
    "requestParameters": {"contentType": "audio/mpeg", "endpointName": "whisper", "inputLocation": "s3://audio/staged/x"},
    "responseParameters": {"contentType": "application/json", "outputLocation": "s3://transcripts/raw/x"},
    "inferenceId": f"{JOB}-1",
    "eventVersion": "1.0",
    "eventSource": "aws:sagemaker",
    "eventName": "InferenceResult",
}
FAILURE = {key: value for key, value in SUCCESS.items() if key != "responseParameters"} | {
    "invocationStatus": "Failed",
    "failureReason": "ClientError: Received client error (400) from model. See the log",
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
    max_leaves=8,
)


def test_a_success_says_where_its_output_is():
    assert parse_notification(json.dumps(SUCCESS)) == Completed(JOB, 1, "s3://transcripts/raw/x")


def test_a_failure_gives_its_reason():
    expected = Failed(JOB, 1, None, "ClientError: Received client error (400) from model. See the log")
    assert parse_notification(json.dumps(FAILURE)) == expected


@pytest.mark.parametrize("place", [{"failureLocation": "s3://x"}, {"responseParameters": {"failureLocation": "s3://x"}}])
def test_a_failure_object_is_found_wherever_it_is_named(place: dict):
    assert parse_notification(json.dumps(FAILURE | place)).failure_location == "s3://x"


def test_the_attempt_is_part_of_the_inference_id():
    assert parse_notification(json.dumps(FAILURE | {"inferenceId": f"{JOB}-12"})).attempt == 12


def test_an_unknown_status_of_ours_is_refused_with_its_value():
    with pytest.raises(ValueError, match=r"'Expired'.*'Completed' and 'Failed'"):
        parse_notification(json.dumps(SUCCESS | {"invocationStatus": "Expired"}))


def test_an_sns_envelope_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match="raw message delivery"):
        parse_notification(json.dumps({"Type": "Notification", "TopicArn": "arn", "Message": "{}"}))


@pytest.mark.parametrize("body", ["", "hello", "[]", "null", "1", '"Completed"', "[" * 100_000, '{"a":' * 100_000])
def test_what_is_no_json_object_is_refused(body: str):
    with pytest.raises(ValueError, match="JSON object"):
        parse_notification(body)


@given(st.text() | json_values.map(json.dumps))
def test_no_message_makes_the_parser_fail_otherwise(body: str):
    with suppress(ValueError):
        parse_notification(body)


@given(st.sampled_from([SUCCESS, FAILURE]), st.sampled_from(sorted(SUCCESS.keys() | FAILURE.keys())), json_values)
def test_no_odd_field_makes_the_parser_fail_otherwise(message: dict, field: str, value: object):
    body = json.dumps(message | {field: value})
    if field == "invocationStatus" and value not in ("Completed", "Failed"):
        with pytest.raises(ValueError, match="invocationStatus"):
            parse_notification(body)
        return
    parsed = parse_notification(body)
    assert isinstance(parsed, ForeignResult if field == "inferenceId" else (Completed, Failed))


@given(st.dictionaries(st.text(), json_values).filter(lambda message: "invocationStatus" not in message))
def test_a_message_without_a_status_is_a_test(message: dict):
    assert parse_notification(json.dumps(message)) == EndpointTest()


@given(st.sampled_from([SUCCESS, FAILURE]), st.text().filter(lambda text: not text.startswith(JOB)))
def test_an_inference_id_of_another_shape_is_foreign(message: dict, inference_id: str):
    assert parse_notification(json.dumps(message | {"inferenceId": inference_id})) == ForeignResult()
