"""What travels as JSON arrives as it was sent, or is refused with a reason."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.pipeline import transcript
from tests.unit.test_notification import json_values
from whisperstack_contract.announcements import Announcement
from whisperstack_contract.errors import ERRORS_BY_CODE, ErrorDocument
from whisperstack_contract.jobs import JobState, SourceVersion
from whisperstack_contract.transcript import AudioFacts, Provenance, Segment, Transcript, Word, with_job_id
from whisperstack_contract.transcript import Warning as TranscriptWarning

text = st.text()
number = st.floats(allow_nan=False, allow_infinity=False)
errors = st.builds(ErrorDocument, text, text, st.booleans())
transcripts = st.builds(
    Transcript,
    text,
    text,
    number,
    text,
    st.builds(
        Provenance,
        text,
        text,
        text,
        st.builds(AudioFacts, text, st.none() | number, number),
        st.dictionaries(text, number, max_size=3),
        st.lists(st.builds(TranscriptWarning, text, text, st.none() | number, st.none() | number), max_size=2).map(tuple),
        st.none() | text,
        st.none() | number,
        st.none() | number,
    ),
    st.lists(st.builds(Segment, st.integers(), number, number, text, number, number, number, number), max_size=3).map(tuple),
    st.none() | st.lists(st.builds(Word, text, number, number, number), max_size=3).map(tuple),
)
announcements = st.builds(
    Announcement,
    text,
    st.sampled_from(JobState),
    st.builds(SourceVersion, text, text, text),
    text,
    st.dictionaries(text, text, max_size=4),
    st.booleans(),
    st.none() | errors,
)


@given(transcripts)
def test_a_transcript_arrives_as_it_was_sent(sent: Transcript):
    assert Transcript.from_json(sent.to_json()) == sent


@given(text)
def test_a_transcript_can_be_given_its_job(job: str):
    assert with_job_id(transcript(), job).whisperstack.job_id == job
    assert with_job_id(with_job_id(transcript(), job), None) == transcript()


def test_fields_that_a_newer_model_adds_do_not_hide_the_transcript():
    sent = json.loads(transcript().to_json())
    for place in (sent, sent["segments"][0], sent["whisperstack"], sent["whisperstack"]["audio"]):
        place["added_later"] = [1]

    assert Transcript.from_json(json.dumps(sent)) == transcript()


def _without(path: str) -> str:
    document = json.loads(transcript().to_json())
    place = document
    *parents, last = path.split("/")
    for parent in parents:
        place = place[int(parent) if parent.isdigit() else parent]
    del place[last]
    return json.dumps(document)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"text": "hello"}',
        '{"error": {"code": "not_audio", "message": "m", "retryable": false}}',
        "[" * 100_000,
        transcript().to_json().replace('"schema_version": 1', '"schema_version": 2'),
        transcript().to_json().replace('"duration": 2.0', '"duration": "2"'),
        transcript().to_json().replace('"duration": 2.0', '"duration": true'),
        transcript().to_json().replace('"duration": 2.0', '"duration": 1e999'),
        transcript().to_json().replace('"start": 0.0', '"start": NaN'),
        transcript().to_json().replace('"start": 0.0', f'"start": {10**400}'),
        transcript().to_json().replace('"text": "Ask not."', '"text": null'),
        transcript().to_json().replace('"id": 0', '"id": true'),
        transcript().to_json().replace('"declared_seconds": 2.0', '"declared_seconds": "2"'),
        transcript().to_json().replace('"speech_seconds": null', '"speech_seconds": "2"'),
        transcript().to_json().replace('"timings": {', '"timings": {"loading": "1", '),
        transcript().to_json().replace('"words": null', '"words": [{"word": "Ask", "start": 0, "end": 1}]'),
        transcript().to_json().replace('"warnings": []', '"warnings": [{"code": "c", "message": "m", "start": "0"}]'),
        _without("segments"),
        _without("segments/0/end"),
        _without("whisperstack"),
        _without("whisperstack/audio/codec"),
    ],
)
def test_what_is_no_transcript_is_refused(sent: str):
    with pytest.raises(ValueError, match=r"."):
        Transcript.from_json(sent)


@given(json_values.map(json.dumps) | text | st.binary())
def test_the_readers_fail_with_value_error_or_none_only(sent: str | bytes):
    with pytest.raises(ValueError, match=r"."):
        Transcript.from_json(sent)
    assert ErrorDocument.from_json(sent) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_transcript_that_is_not_json_is_not_written(value: float):
    with pytest.raises(ValueError, match="JSON"):
        replace(transcript(), duration=value).to_json()


@given(errors)
def test_an_error_arrives_as_it_was_sent(sent: ErrorDocument):
    assert ErrorDocument.from_json(sent.to_json()) == sent


@pytest.mark.parametrize(
    "sent",
    [
        '{"error": null}',
        '{"error": "not_audio"}',
        '{"error": {"code": "not_audio", "message": "m"}}',
        '{"error": {"code": null, "message": "m", "retryable": false}}',
        '{"error": {"code": "not_audio", "message": {}, "retryable": false}}',
        '{"error": {"code": "not_audio", "message": "m", "retryable": "false"}}',
        '{"code": 400, "type": "InternalServerException", "message": "the model server\'s own"}',
        "[" * 100_000,
    ],
)
def test_what_is_no_error_document_is_none(sent: str):
    assert ErrorDocument.from_json(sent) is None


def test_every_code_belongs_to_one_error():
    codes = [error.code for error in ERRORS_BY_CODE.values()]

    assert len(set(codes)) == len(codes) > 13
    assert all(ERRORS_BY_CODE[error.code] is error for error in ERRORS_BY_CODE.values())


@pytest.mark.parametrize("error", ERRORS_BY_CODE.values(), ids=ERRORS_BY_CODE)
def test_an_error_carries_its_code_message_and_whether_to_try_again(error):
    document = error("the file has 0 bytes").document()

    assert document == ErrorDocument(error.code, "the file has 0 bytes", error.retryable)
    assert 400 <= error.http_status < 600
    assert error.retryable == (error.http_status >= 500)
    assert error.remedy.endswith(".")


@given(announcements)
def test_an_announcement_arrives_as_it_was_sent(sent: Announcement):
    message = sent.to_json()

    assert Announcement.from_json(message) == sent
    assert message.isascii()
    assert json.loads(message)["event_id"] == sent.event_id == f"{sent.job_id}:{sent.state.value}"


@pytest.mark.parametrize(
    ("section", "kinds"),
    [
        ("# The transcript", [Transcript]),
        ("## `segments[]`", [Segment]),
        ("## `words[]`", [Word]),
        ("## `whisperstack`", [Provenance, TranscriptWarning]),
        ("### `whisperstack.audio`", [AudioFacts]),
    ],
)
def test_every_field_of_a_transcript_is_described(section: str, kinds: list[type]):
    page = (Path(__file__).resolve().parents[2] / "docs" / "transcript.md").read_text()
    _, found, rest = page.partition(f"\n{section}\n" if section.startswith("##") else section)
    assert found
    described = rest.partition("\n#")[0]
    assert [field.name for kind in kinds for field in fields(kind) if f"`{field.name}`" not in described] == []
