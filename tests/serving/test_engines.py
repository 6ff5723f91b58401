"""All engines do what a request asks for. Each is asked few times, and looked at from many sides."""

import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bench.sounds import SOUNDS, at_level
from tests.serving.conftest import DIGEST, PROJECT, Context, unpacked_archive, wav
from whisper_serving.audio import decode
from whisper_serving.settings import Settings
from whisper_serving.speech import speech_spans
from whisper_serving.transcriber import Transcriber
from whisperstack_contract.transcript import Transcript, Word

pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*tiktoken:ResourceWarning")


ENGINES = ("pytorch", "fast", "huggingface", "huggingface-fast")

Transcribe = Callable[..., Transcript]


@pytest.fixture(scope="session")
def engines(handler: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Transcriber]:
    """Whisper base, multilingual, behind an engine; 'fast' and 'huggingface-fast' run the archives' windows side by side."""

    @cache
    def model_folder(engine: str) -> Path:
        return unpacked_archive(engine, "base", tmp_path_factory.mktemp(engine))

    @cache
    def load(engine: str) -> Transcriber:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("WHISPERSTACK_MODEL_DIGEST", DIGEST)
            patch.setenv("WHISPERSTACK_NUMERICS", "fast" if engine.endswith("fast") else "exact")
            archive = engine.removesuffix("-fast")
            model: Any = handler.model_fn(str(model_folder("pytorch" if archive == "fast" else archive)))
        assert isinstance(model, Transcriber), model
        return model

    return load


@pytest.fixture(scope="session")
def ask_engine(handler: ModuleType, engines: Callable[[str], Transcriber]) -> Transcribe:
    """The transcript of a recording by an engine, with options; the same question is asked once."""

    @cache
    def transcribe(engine: str, body: bytes, options: str) -> Transcript:
        context = Context({"X-Amzn-SageMaker-Custom-Attributes": options})
        return Transcript.from_json(handler.transform_fn(engines(engine), body, "audio/wav", "application/json", context))

    return lambda engine, body, **options: transcribe(engine, body, json.dumps(options))


@pytest.fixture(scope="session", params=ENGINES)
def ask(request: pytest.FixtureRequest, ask_engine: Transcribe) -> Transcribe:
    """The transcript of a recording, with options, by each engine in turn."""
    return partial(ask_engine, request.param)


@pytest.fixture(scope="session")
def late_speech() -> bytes:
    """The sample after twelve seconds of music."""
    settings = Settings.from_environment({"WHISPERSTACK_MODEL_DIGEST": DIGEST})
    samples = decode((PROJECT / "samples" / "jfk.mp3").read_bytes(), settings).samples
    return wav(np.concatenate([at_level(SOUNDS["band"](12), -20), samples]))


@pytest.fixture(scope="session")
def with_words(ask: Transcribe, late_speech: bytes) -> Transcript:
    return ask(late_speech, word_timestamps=True)


def test_the_language_is_that_of_the_speech_whatever_comes_before(with_words: Transcript) -> None:
    assert with_words.language == "en"
    assert with_words.whisperstack.language_probability is not None
    assert 0.5 < with_words.whisperstack.language_probability <= 1
    (music,) = with_words.whisperstack.warnings
    assert (music.code, music.start) == ("sound_without_text", 0)
    assert music.end == pytest.approx(12, abs=1)


def test_words_are_those_of_the_text_each_in_its_place(with_words: Transcript) -> None:
    words = with_words.words
    assert words is not None
    assert "".join(word.word for word in words).strip() == with_words.text
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] >= 11.5
    assert times[-1] <= 23
    assert all(0 < word.probability <= 1 for word in words)


def test_segments_begin_and_end_with_their_words(with_words: Transcript) -> None:
    times = [time for segment in with_words.segments for time in (segment.start, segment.end)]
    assert times == sorted(times)
    assert times[-1] <= with_words.duration
    remaining = list(with_words.words or ())
    for segment in with_words.segments:
        words = []
        while "".join(word.word for word in words) != segment.text:
            words.append(remaining.pop(0))
        assert (words[0].start, words[-1].end) == (segment.start, segment.end)
    assert remaining == []


def test_all_engines_time_words_and_segments_alike(ask_engine: Transcribe, late_speech: bytes) -> None:
    reference, *others = [ask_engine(engine, late_speech, word_timestamps=True) for engine in ENGINES]
    for other in others:
        assert [_plain(word) for word in other.words or ()] == [_plain(word) for word in reference.words or ()]
        pairs = list(zip(reference.words or (), other.words or (), strict=True))
        assert median(abs(left.start - right.start) for left, right in pairs) < 0.05
        assert max(abs(left.end - right.end) for left, right in pairs) < 0.5
        bounds = [[part.segments[0].start, part.segments[-1].end] for part in (reference, other)]
        assert bounds[0] == pytest.approx(bounds[1], abs=0.2)


def test_a_transcript_says_how_its_engine_ran(ask_engine: Transcribe, late_speech: bytes) -> None:
    told = [ask_engine(engine, late_speech, word_timestamps=True).whisperstack for engine in ENGINES]
    assert [(each.engine, each.numerics) for each in told] == [
        ("pytorch", "exact"),
        ("pytorch", "fast"),
        ("huggingface", "exact"),
        ("huggingface", "fast"),
    ]


def _plain(word: Word) -> str:
    return word.word.strip(" ,.").lower()


def test_words_end_where_the_speech_does(with_words: Transcript, jfk: bytes, settings: Settings) -> None:
    """The pause after "Americans" is found by the speech detector too, which knows nothing of words. Its margin is 0.4 s."""
    first_phrase = speech_spans(decode(jfk, settings).samples)[0]
    (americans,) = [word for word in with_words.words or () if word.word.strip(" ,") == "Americans"]
    assert americans.end == pytest.approx(12 + first_phrase.end - 0.4, abs=0.25)


@pytest.fixture(scope="session")
def fellow_americans() -> bytes:
    """The first three seconds of the sample."""
    settings = Settings.from_environment({"WHISPERSTACK_MODEL_DIGEST": DIGEST})
    return wav(decode((PROJECT / "samples" / "jfk.mp3").read_bytes(), settings).samples[: 3 * 16_000])


def test_options_reach_the_model(ask: Transcribe, fellow_americans: bytes) -> None:
    jfk = fellow_americans
    plain = {"language": "en", "temperature": [0.0]}
    searched = ask(jfk, **plain, beam_size=2)
    assert "fellow Americans" in searched.text
    assert searched.words is None
    assert searched.whisperstack.language_probability is None
    assert {segment.temperature for segment in searched.segments} == {0.0}
    sampled = ask(jfk, language="en", temperature=[0.4])
    assert {segment.temperature for segment in sampled.segments} == {0.4}
    assert ask(jfk, language="de", task="translate", temperature=[0.0]).task == "translate"


@pytest.mark.parametrize("option", ["hotwords", "initial_prompt"])
def test_spelling_in_a_prompt_is_heeded(ask: Transcribe, fellow_americans: bytes, option: str) -> None:
    prompt = {option: "Glossary: my fellow Amerikans, Amerikans"}
    assert "Amerikans" in ask(fellow_americans, language="en", temperature=[0.0], **prompt).text
