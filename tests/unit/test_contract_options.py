"""What a request asks for arrives as it was said, in its order of precedence, or is refused with what is allowed."""

import json
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whisper.tokenizer import LANGUAGES as WHISPER_LANGUAGES

from tests.unit.test_notification import json_values
from whisperstack_contract.errors import InvalidOptionsError
from whisperstack_contract.inference_options import InferenceOption
from whisperstack_contract.languages import LANGUAGES
from whisperstack_contract.limits import BATCH_ENVIRONMENT_KEYS, BATCH_ENVIRONMENT_VALUE_CHARS, CUSTOM_ATTRIBUTES_CHARS
from whisperstack_contract.options import FORMATS, OPTIONS_BY_NAME, PartialOptions, Task, TranscriptionOptions

prompts = st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60).filter(str.strip)
# One valid value of each option, as JSON has it.
VALID = {
    "language": st.none() | st.sampled_from(sorted(LANGUAGES)),
    "task": st.sampled_from([task.value for task in Task]),
    "initial_prompt": prompts,
    "hotwords": prompts,
    "temperature": st.lists(st.floats(0, 1), min_size=1, max_size=11),
    "beam_size": st.none() | st.integers(1, 10),
    "word_timestamps": st.booleans(),
    "formats": st.lists(st.sampled_from(FORMATS), unique=True),
    "max_line_width": st.none() | st.integers(10, 200),
    "max_line_count": st.none() | st.integers(1, 10),
    "highlight_words": st.booleans(),
    "vad": st.booleans(),
    "max_duration_seconds": st.none() | st.floats(0, 86_400, exclude_min=True),
    "audio_track": st.integers(0, 99),
}
said = st.fixed_dictionaries({}, optional=VALID)


def _consistent(values: dict) -> bool:
    words = values.get("word_timestamps", True) or not values.get("highlight_words")
    return words and (values.get("max_line_width") is not None or values.get("max_line_count") is None)


@given(said.filter(_consistent))
def test_options_arrive_as_they_were_sent(values: dict):
    sent = PartialOptions.from_json(json.dumps(values)).resolve()
    line = sent.to_json()

    assert TranscriptionOptions.from_json(line) == sent
    assert line.isascii()
    assert line.isprintable()
    for name, value in values.items():
        got = getattr(sent, name)
        if name == "formats":
            assert set(got) == set(value)
        else:
            assert got == (tuple(value) if isinstance(value, list) else value)


def test_every_option_can_be_said():
    assert VALID.keys() == OPTIONS_BY_NAME.keys()


@pytest.mark.parametrize("nothing", ["", " \n", "{}"])
def test_no_options_are_the_defaults(nothing: str):
    assert TranscriptionOptions.from_json(nothing) == TranscriptionOptions()
    assert TranscriptionOptions().to_custom_attributes() == "{}"


@given(said, said, st.sampled_from(sorted(VALID)))
def test_what_one_source_says_goes_before_the_other_and_silence_does_not(high: dict, low: dict, name: str):
    merged = PartialOptions(high).over(PartialOptions(low))

    assert merged.said.keys() == high.keys() | low.keys()
    if name in high:
        assert merged.said[name] == PartialOptions(high).said[name]
    elif name in low:
        assert merged.said[name] == PartialOptions(low).said[name]


def test_saying_the_default_is_not_silence():
    defaults = PartialOptions({"task": "translate", "language": "de", "vad": False})

    assert PartialOptions({}).over(defaults).resolve().task is Task.TRANSLATE
    asked = PartialOptions({"task": "transcribe", "language": None, "vad": True}).over(defaults).resolve()
    assert asked == TranscriptionOptions()


def test_who_asks_for_highlighted_words_asks_for_their_times():
    assert PartialOptions({"highlight_words": True}).resolve().word_timestamps
    with pytest.raises(InvalidOptionsError, match="set word_timestamps to true"):
        PartialOptions({"highlight_words": True, "word_timestamps": False}).resolve()


def test_lines_cannot_be_counted_where_none_ends():
    with pytest.raises(InvalidOptionsError, match=r"max_line_count is 2 and max_line_width is none.*set max_line_width"):
        PartialOptions({"max_line_count": 2}).resolve()
    assert PartialOptions({"max_line_count": 2}).over(PartialOptions({"max_line_width": 42})).resolve().max_line_count == 2


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("en", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"vad": true, "vad": false}', "stands in it twice"),
        ('["en"]', "JSON list"),
        ('{"langauge": "en"}', "unknown options: 'langauge'; allowed: language, task, initial_prompt"),
        ('{"language": "English"}', r"'English' \(say 'en'\); allowed: .*, en, "),
        ('{"language": "EN"}', r"'EN' \(say 'en'\)"),
        ('{"language": "xx"}', "'xx'; allowed: .*, yue, "),
        ('{"language": "en\\n"}', "allowed"),
        ('{"language": ["en"]}', "allowed"),
        ('{"task": "summarise"}', "'summarise'; allowed: `transcribe`, `translate`"),
        ('{"task": null}', "None; allowed"),
        ('{"initial_prompt": 5}', "5; allowed: text of at most 1000"),
        ('{"initial_prompt": "\\ud800"}', "surrogate"),
        ('{"hotwords": "a\\u0000"}', "control characters"),
        ('{"temperature": []}', "1 to 11 numbers, each 0 to 1"),
        ('{"temperature": [0, 1.1]}', "each 0 to 1"),
        ('{"temperature": [-0.1]}', "each 0 to 1"),
        ('{"temperature": [true]}', "each 0 to 1"),
        ('{"temperature": NaN}', "each 0 to 1"),
        ('{"beam_size": 0}', "0; allowed: 1 to 10; or null"),
        ('{"beam_size": 2.5}', "1 to 10"),
        ('{"beam_size": true}', "1 to 10"),
        ('{"word_timestamps": "yes"}', "`true`, `false`"),
        ('{"vad": 1}', "`true`, `false`"),
        ('{"formats": ["docx"]}', r"\['docx'\]; allowed: a list of `json`, `txt`, `srt`, `vtt`, `tsv`"),
        ('{"formats": [["txt"]]}', "a list of"),
        ('{"max_line_width": 9}', "9; allowed: 10 to 200"),
        ('{"max_line_count": 0}', "1 to 10"),
        ('{"max_duration_seconds": 0}', "seconds above 0, at most 86400"),
        (f'{{"max_duration_seconds": {10**400}}}', "at most 86400"),
        ('{"max_duration_seconds": 1e999}', "at most 86400"),
        ('{"audio_track": -1}', "0 to 99"),
    ],
)
def test_wrong_options_are_refused_with_value_and_what_is_allowed(sent: str, reason: str):
    with pytest.raises(InvalidOptionsError, match=reason) as refused:
        TranscriptionOptions.from_json(sent)
    assert len(str(refused.value)) < 1500


@given(st.text() | json_values.map(json.dumps))
def test_no_text_makes_the_reader_fail_otherwise(sent: str):
    with suppress(InvalidOptionsError):
        PartialOptions.from_json(sent)


def test_options_that_do_not_fit_into_a_header_are_refused_with_the_remedy():
    long = TranscriptionOptions(initial_prompt="ü" * 200)
    with pytest.raises(InvalidOptionsError, match=r"take 12\d\d characters .*; the limit is 1024; shorten initial_prompt"):
        long.to_custom_attributes()
    with pytest.raises(InvalidOptionsError, match="the limit is 1024"):
        PartialOptions.from_custom_attributes(" " * 1025)
    fits = TranscriptionOptions(initial_prompt="a" * 1000).to_custom_attributes()
    assert len(fits) <= CUSTOM_ATTRIBUTES_CHARS


def test_custom_attributes_are_ascii_and_hold_any_character_escaped():
    with pytest.raises(InvalidOptionsError, match=r"not ASCII; write them as \\uXXXX"):
        PartialOptions.from_custom_attributes('{"initial_prompt": "Köln"}')
    assert PartialOptions.from_custom_attributes('{"initial_prompt": "K\\u00f6ln"}').resolve().initial_prompt == "Köln"


def test_a_batch_job_carries_options_in_its_environment():
    sent = TranscriptionOptions(language="de", initial_prompt="ü" * 1000)
    environment = sent.to_batch_environment()

    assert PartialOptions.from_environment(environment).resolve() == sent
    assert InferenceOption(environment["WHISPERSTACK_INFERENCE_OPTION"]) is InferenceOption.BATCH
    assert len(environment) < BATCH_ENVIRONMENT_KEYS
    assert all(len(value) <= BATCH_ENVIRONMENT_VALUE_CHARS for value in environment.values())
    with pytest.raises(InvalidOptionsError, match="the limit is 10240"):
        TranscriptionOptions(initial_prompt="ü" * 1000, hotwords="ü" * 1000).to_batch_environment()


def test_a_jobs_options_go_before_its_models_defaults():
    environment = {
        "WHISPERSTACK_OPTIONS": '{"task": "transcribe"}',
        "WHISPERSTACK_DEFAULT_OPTIONS": '{"task": "translate", "language": "de"}',
    }
    options = PartialOptions.from_environment(environment).resolve()

    assert (options.task, options.language) == (Task.TRANSCRIBE, "de")


def test_the_languages_are_those_of_whisper():
    assert LANGUAGES == WHISPER_LANGUAGES
    assert all(re.fullmatch("[a-z]{2,3}", code) for code in LANGUAGES)
