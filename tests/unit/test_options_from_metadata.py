"""What an uploader asks for in an object's metadata, from the upload to the request to the endpoint."""

import base64
from contextlib import suppress
from email.header import Header

import pytest
from botocore.stub import Stubber
from hypothesis import assume, example, given
from hypothesis import strategies as st

from submit_transcription import handler
from tests.unit.pipeline import Pipeline, object_created
from tests.unit.test_contract_options import VALID, prompts
from tests.unit.wire import Wire
from whisperstack_contract.errors import InvalidOptionsError
from whisperstack_contract.option_metadata import metadata_name, options_from_metadata
from whisperstack_contract.options import OPTIONS_BY_NAME, PROMPT_OPTIONS, PartialOptions, TranscriptionOptions


def _word(text: str) -> str:
    return f"=?UTF-8?B?{base64.b64encode(text.encode()).decode()}?="


def _said(**metadata: str) -> dict:
    named = {f"whisperstack-{name.replace('_', '-')}": value for name, value in metadata.items()}
    return dict(options_from_metadata(named, prompts_allowed=True).said)


def test_an_upload_says_its_options_over_the_environments(pipeline: Pipeline, submit, wire: Wire):
    metadata = {"whisperstack-task": "translate", "whisperstack-formats": "vtt", "patient": "x"}
    source = pipeline.upload("incoming/a.mp3", Metadata=metadata)

    assert submit(object_created(source)) == [True]

    expected = TranscriptionOptions(language="en", task="translate", formats=("vtt",)).to_custom_attributes()
    assert wire.parameters("InvokeEndpointAsync")["CustomAttributes"] == expected
    assert pipeline.row(source)["options"] == expected


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"whisperstack-langauge": "en"}, "'whisperstack-langauge'; allowed: x-amz-meta-whisperstack-language"),
        ({"whisperstack-language": "klingon"}, "language is 'klingon'; allowed: "),
        ({"whisperstack-max-line-count": "2"}, "set max_line_width"),
        ({"whisperstack-initial-prompt": "Grüße"}, "takes no prompts from metadata; leave it out"),
        ({"whisperstack-hotwords": ""}, "takes no prompts from metadata"),
    ],
)
def test_an_upload_with_invalid_options_is_rejected_with_a_document(
    pipeline: Pipeline, submit, wire: Wire, metadata: dict[str, str], reason: str
):
    source = pipeline.upload("incoming/a.mp3", Metadata={name: _ascii(value) for name, value in metadata.items()})

    assert submit(object_created(source)) == [True]

    assert "CopyObject" not in wire.operations
    ((announcement, attributes),) = pipeline.announcements()
    assert attributes == {"state": "rejected", "code": "invalid_options"}
    assert reason in announcement.error.message
    assert announcement.error.message in pipeline.body("errors/a.mp3.error.json")
    assert pipeline.row(source)["state"] == "rejected"


def _ascii(text: str) -> str:
    return text if text.isascii() else _word(text)


def test_a_prompt_is_taken_where_the_environment_allows_it(pipeline: Pipeline, submit, wire: Wire, monkeypatch):
    monkeypatch.setenv("WHISPERSTACK_PROMPTS_FROM_METADATA", "true")
    source = pipeline.upload("incoming/a.mp3", Metadata={"whisperstack-initial-prompt": _word("Grüße aus Köln")})

    submit(object_created(source))

    sent = TranscriptionOptions.from_json(wire.parameters("InvokeEndpointAsync")["CustomAttributes"])
    assert sent.initial_prompt == "Grüße aus Köln"


def test_a_prompt_that_does_not_fit_into_the_request_is_rejected(pipeline: Pipeline, submit, monkeypatch):
    monkeypatch.setenv("WHISPERSTACK_PROMPTS_FROM_METADATA", "true")
    source = pipeline.upload("incoming/a.mp3", Metadata={"whisperstack-initial-prompt": _word("会" * 300)})

    assert submit(object_created(source)) == [True]

    ((announcement, _),) = pipeline.announcements()
    assert "the limit is 1024; shorten initial_prompt" in announcement.error.message


def test_metadata_is_merged_with_the_defaults_of_when_the_upload_was_first_seen(
    pipeline: Pipeline, submit, wire: Wire, monkeypatch
):
    source = pipeline.upload("incoming/a.mp3", Metadata={"whisperstack-vad": "false"})
    with Stubber(handler.submission().s3) as s3:
        s3.add_client_error("head_object", "SlowDown", http_status_code=503)
        assert submit(object_created(source)) == [False]
    monkeypatch.setenv("WHISPERSTACK_DEFAULT_OPTIONS", '{"language": "de"}')
    handler.submission.cache_clear()

    assert submit(object_created(source)) == [True]

    assert wire.parameters("InvokeEndpointAsync")["CustomAttributes"] == '{"language":"en","vad":false}'


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("language", " de ", "de"),
        ("language", "auto", None),
        ("initial_prompt", "  two  spaces ", "  two  spaces "),
        ("initial_prompt", "5", "5"),
        ("hotwords", "", None),
        ("temperature", "0", (0.0,)),
        ("temperature", "0, 0.4,1", (0.0, 0.4, 1.0)),
        ("beam_size", "5", 5),
        ("beam_size", "none", None),
        ("vad", "False", False),
        ("formats", "vtt, srt", ("srt", "vtt")),
        ("formats", "", ()),
        ("max_duration_seconds", "12.5", 12.5),
    ],
)
def test_text_becomes_the_options_value(name: str, text: str, value: object):
    assert _said(**{name: text}) == {name: value}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vad", "yes"),
        ("vad", "1"),
        ("beam_size", "05"),
        ("beam_size", "5 beams"),
        ("max_line_width", "1e2"),
        ("temperature", "0;1"),
        ("temperature", "0,"),
        ("formats", "txt;srt"),
        ("initial_prompt", "=?UTF-8?B?/w==?="),
        ("initial_prompt", "=?UTF-8?B?a?="),
        ("initial_prompt", "=?UTF-16?B?/w==?="),
        ("initial_prompt", "=?klingon?Q?a?="),
    ],
)
def test_other_text_is_refused_with_its_name(name: str, text: str):
    with pytest.raises(InvalidOptionsError, match=name):
        _said(**{name: text})


def _as_text(name: str, value: object) -> str:
    if name in PROMPT_OPTIONS:
        return _word(value) if value else ""
    if isinstance(value, list):
        return ",".join(_as_text(name, each) for each in value)
    return {None: "none"}.get(value) or (f"{value:.9f}" if isinstance(value, float) else str(value))


@given(st.sampled_from(sorted(VALID)).flatmap(lambda name: st.tuples(st.just(name), VALID[name])))
@example(("formats", []))
def test_every_value_can_be_said_as_text(option: tuple[str, object]):
    name, value = option
    assume(name != "max_duration_seconds" or value is None or value > 1e-8)
    (said,) = _said(**{name: _as_text(name, value)}).values()

    expected = PartialOptions({name: value}).said[name]
    assert said == (pytest.approx(expected, abs=1e-8) if name in ("temperature", "max_duration_seconds") else expected)


@given(prompts.filter(lambda prompt: prompt is not None and "=?" not in prompt))
def test_text_in_rfc_2047_words_is_decoded(prompt: str):
    folded = Header(prompt, "utf-8").encode(maxlinelen=0)

    assert _said(initial_prompt=folded) == _said(initial_prompt=_word(prompt)) == {"initial_prompt": prompt}


def test_names_are_told_apart_from_the_uploaders_own_and_may_be_spelt_either_way():
    metadata = {"language": "xx", "Whisperstack-Max_Line-Width": "42", "whisperstackvad": "maybe"}

    assert options_from_metadata(metadata, prompts_allowed=False).said == {"max_line_width": 42}
    with pytest.raises(InvalidOptionsError, match="says audio_track twice"):
        options_from_metadata({"whisperstack-audio-track": "0", "whisperstack-audio_track": "0"}, prompts_allowed=False)


@given(st.dictionaries(st.sampled_from(sorted(OPTIONS_BY_NAME)), st.text(max_size=30), max_size=4), st.booleans())
def test_no_metadata_makes_the_reader_fail_otherwise(texts: dict[str, str], prompts_allowed: bool):
    metadata = {metadata_name(name).removeprefix("x-amz-meta-"): text for name, text in texts.items()}
    with suppress(InvalidOptionsError):
        options_from_metadata(metadata, prompts_allowed=prompts_allowed)
