"""Whatever is sent to the parsers, they read it or refuse it in their own words."""

import json
from base64 import b64encode

from hypothesis import given
from hypothesis import strategies as st

from record_result.notification import parse_notification
from tests.fuzz.examples import damaged, fuzzed
from tests.unit.test_contract_options import VALID
from tests.unit.test_notification import FAILURE, SUCCESS, json_values
from whisperstack_contract.errors import InvalidOptionsError
from whisperstack_contract.option_metadata import METADATA_PREFIX, options_from_metadata
from whisperstack_contract.options import OPTIONS_BY_NAME, PartialOptions, TranscriptionOptions
from whisperstack_contract.transcript import Transcript

option_values = st.one_of(*VALID.values()) | json_values
option_objects = st.dictionaries(st.sampled_from(sorted(OPTIONS_BY_NAME)) | st.text(max_size=8), option_values, max_size=6)
SENT = json.dumps({"language": "de", "initial_prompt": "Grüße", "temperature": [0, 0.4], "max_line_width": 42, "vad": False})

metadata_values = st.text(max_size=40) | st.sampled_from(
    ["true", "none", "0.2,0.4", "txt, srt", "42", "=?UTF-8?B?R3LDvMOfZQ==?=", "=?"]
)
encoded_words = st.builds(
    lambda charset, kind, body: f"=?{charset}?{kind}?{body}?=",
    st.sampled_from(["UTF-8", "utf-8", "us-ascii", "UTF-16", "rot13", "hex", "", "\0"]) | st.text(max_size=5),
    st.sampled_from("bBqQxX"),
    st.binary(max_size=12).map(lambda raw: b64encode(raw).decode()) | st.text(max_size=12),
)
metadata_names = st.sampled_from(sorted(OPTIONS_BY_NAME)).map(lambda name: METADATA_PREFIX + name) | st.text(max_size=20).map(
    lambda name: METADATA_PREFIX + name
)
metadata = st.dictionaries(
    metadata_names, metadata_values | st.lists(encoded_words | metadata_values, max_size=3).map(" ".join), max_size=5
)


def _assert_told(error: Exception) -> None:
    """A refusal can be stored and announced."""
    assert 0 < len(str(error).encode()) < 4000


@fuzzed()
@given(option_objects.map(json.dumps) | damaged(SENT) | st.text())
def test_the_option_parser_reads_or_refuses(sent: str):
    try:
        options = PartialOptions.from_json(sent).resolve()
    except InvalidOptionsError as error:
        _assert_told(error)
        return
    assert TranscriptionOptions.from_json(options.to_json()) == options
    assert options.to_json().isascii()


@fuzzed()
@given(metadata, st.booleans())
def test_the_metadata_parser_reads_or_refuses(said: dict[str, str], prompts_allowed: bool):
    try:
        options = options_from_metadata(said, prompts_allowed=prompts_allowed).resolve()
    except InvalidOptionsError as error:
        _assert_told(error)
        return
    assert TranscriptionOptions.from_json(options.to_json()) == options
    assert prompts_allowed or (options.initial_prompt, options.hotwords) == (None, None)


@fuzzed()
@given(
    st.sampled_from([SUCCESS, FAILURE]).flatmap(lambda message: damaged(json.dumps(message)))
    | st.dictionaries(st.sampled_from(sorted({**SUCCESS, **FAILURE})), json_values).map(json.dumps)
    | st.text()
)
def test_the_notification_parser_reads_or_refuses(body: str):
    try:
        found = parse_notification(body)
    except ValueError as error:
        assert str(error)  # noqa: PT017  # that there is one is the point
        return
    assert all(value is None or isinstance(value, str | int) for value in vars(found).values())


@fuzzed()
@given(json_values.map(json.dumps) | st.text() | st.binary())
def test_the_transcript_parser_refuses_in_its_own_words(sent: str | bytes):
    try:
        Transcript.from_json(sent)
    except ValueError as error:
        assert str(error)  # noqa: PT017  # that there is one is the point
