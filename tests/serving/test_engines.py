"""Both engines do what a request asks for. Each is asked few times, and looked at from many sides."""

import json
import tarfile
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bench.sounds import SOUNDS, at_level
from model_build.artefact import build_artefact
from model_build.packages import ContainerPackages
from model_build.sources import PackageSource
from tests.serving.conftest import DIGEST, PROJECT, Context, NoProgress, wav
from whisper_serving.audio import decode
from whisper_serving.settings import Settings
from whisper_serving.speech import speech_spans
from whisper_serving.transcriber import Transcriber
from whisperstack_contract.transcript import Transcript

pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*tiktoken:ResourceWarning")


@pytest.fixture(scope="session", params=["pytorch", "huggingface"])
def engine_model(request: pytest.FixtureRequest, handler: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Transcriber:
    """Whisper base, multilingual, behind each engine."""
    root = tmp_path_factory.mktemp(request.param)
    (root / "nothing.txt").write_text("")
    packages = ContainerPackages(root / "nothing.txt", root / "wheels")
    source = PackageSource.find("base")
    built = build_artefact(request.param, "base", source, packages, root / "built", PROJECT, NoProgress())
    with tarfile.open(built.folder / "model.tar.gz") as archive:
        archive.extractall(root / "model", filter="data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHISPERSTACK_MODEL_DIGEST", DIGEST)
        model: Any = handler.model_fn(str(root / "model"))
    assert isinstance(model, Transcriber), model
    return model


@pytest.fixture(scope="session")
def ask(handler: ModuleType, engine_model: Transcriber) -> Callable[..., Transcript]:
    """The transcript of a recording, with options."""

    def ask(body: bytes, **options: object) -> Transcript:
        context = Context({"X-Amzn-SageMaker-Custom-Attributes": json.dumps(options)})
        return Transcript.from_json(handler.transform_fn(engine_model, body, "audio/wav", "application/json", context))

    return ask


@pytest.fixture(scope="session")
def late_speech() -> bytes:
    """The sample after twelve seconds of music."""
    settings = Settings.from_environment({"WHISPERSTACK_MODEL_DIGEST": DIGEST})
    samples = decode((PROJECT / "samples" / "jfk.mp3").read_bytes(), settings).samples
    return wav(np.concatenate([at_level(SOUNDS["band"](12), -20), samples]))


@pytest.fixture(scope="session")
def with_words(ask: Callable[..., Transcript], late_speech: bytes) -> Transcript:
    return ask(late_speech, word_timestamps=True)


def test_the_language_is_that_of_the_speech_whatever_comes_before(with_words: Transcript) -> None:
    assert with_words.language == "en"
    assert with_words.whisperstack.language_probability is not None
    assert 0.5 < with_words.whisperstack.language_probability <= 1
    assert with_words.whisperstack.warnings == ()


def test_words_are_those_of_the_text_each_in_its_place(with_words: Transcript) -> None:
    words = with_words.words
    assert words is not None
    assert "".join(word.word for word in words).strip() == with_words.text
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] >= 11.5
    assert times[-1] <= 23
    assert all(0 < word.probability <= 1 for word in words)


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


def test_options_reach_the_model(ask: Callable[..., Transcript], fellow_americans: bytes) -> None:
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
def test_spelling_in_a_prompt_is_heeded(ask: Callable[..., Transcript], fellow_americans: bytes, option: str) -> None:
    prompt = {option: "Glossary: my fellow Amerikans, Amerikans"}
    assert "Amerikans" in ask(fellow_americans, language="en", temperature=[0.0], **prompt).text
