"""The handler as the serving stacks call it, with real weights."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bench.sounds import SOUNDS, at_level
from tests.serving.conftest import DIGEST, Context, wav
from whisper_serving.audio import SAMPLE_RATE_HZ, decode
from whisper_serving.recognition import Recognition
from whisper_serving.settings import Settings, SettingsError
from whisper_serving.transcriber import Transcriber
from whisperstack_contract.errors import ErrorDocument, FileTooLargeError
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.transcript import Transcript

# openai-whisper leaves its vocabulary file for the garbage collector to close.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*tiktoken:ResourceWarning")

Invoke = Callable[..., str]


def _error(answer: str) -> ErrorDocument:
    error = ErrorDocument.from_json(answer)
    assert error is not None, answer
    assert "temporary" not in error.message
    assert "/" not in error.message
    return error


def test_a_recording_becomes_a_transcript(invoke: Invoke, jfk: bytes, context: Context) -> None:
    transcript = Transcript.from_json(invoke(bytearray(jfk), context))
    assert "ask not what your country can do for you" in transcript.text
    assert (transcript.task, transcript.language, transcript.duration) == ("transcribe", "en", 11.0)
    assert context.status is None


def test_segments_lie_in_order_within_the_recording(jfk_answer: str) -> None:
    transcript = Transcript.from_json(jfk_answer)
    times = [time for segment in transcript.segments for time in (segment.start, segment.end)]
    assert len(transcript.segments) >= 2
    assert times == sorted(times)
    assert times[-1] <= transcript.duration
    assert [segment.id for segment in transcript.segments] == list(range(len(transcript.segments)))


def test_a_transcript_says_how_it_came_about(jfk_answer: str) -> None:
    origin = Transcript.from_json(jfk_answer).whisperstack
    assert (origin.engine, origin.model, origin.model_digest, origin.job_id) == ("pytorch", "tiny.en", DIGEST, None)
    assert (origin.audio.codec, origin.audio.declared_seconds, origin.audio.decoded_seconds) == ("mp3", 11.0, 11.0)
    assert origin.timings["inference_seconds"] > origin.timings["decode_seconds"] > 0
    assert origin.warnings == ()


def test_a_transcript_is_what_openai_clients_read(jfk_answer: str) -> None:
    assert {"task", "language", "duration", "text", "segments"} <= set(json.loads(jfk_answer))


def test_the_same_recording_gives_the_same_text(invoke: Invoke, jfk: bytes, jfk_answer: str) -> None:
    assert Transcript.from_json(invoke(jfk, None)).segments == Transcript.from_json(jfk_answer).segments


def test_a_video_is_heard(invoke: Invoke, jfk_as: Callable[..., bytes]) -> None:
    video = jfk_as("talk.mp4", "-f", "lavfi", "-i", "testsrc=d=11:s=64x64:r=5", "-map", "0:a", "-map", "1:v")
    assert "your country" in Transcript.from_json(invoke(video, None)).text


@pytest.fixture
def deaf_model(model: Transcriber, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test that lets the model hear something."""
    monkeypatch.setattr(model._engine, "recognise", lambda *_: pytest.fail("the model was asked about silence"))


@pytest.mark.usefixtures("deaf_model")
def test_digital_silence_has_no_text(invoke: Invoke, silence_of: Callable[[float], bytes], context: Context) -> None:
    transcript = Transcript.from_json(invoke(silence_of(5), context))
    assert (transcript.text, transcript.segments, transcript.duration) == ("", (), 5.0)
    assert transcript.whisperstack.warnings == ()
    assert context.status is None


@pytest.mark.usefixtures("deaf_model")
@pytest.mark.parametrize("name", ["white_noise", "tone", "band"])
def test_noise_and_music_have_no_text(invoke: Invoke, name: str) -> None:
    transcript = Transcript.from_json(invoke(wav(at_level(SOUNDS[name](5), -20)), None))
    assert (transcript.text, transcript.segments, transcript.whisperstack.speech_seconds) == ("", (), 0)
    assert [(each.code, each.start, each.end) for each in transcript.whisperstack.warnings] == [("sound_without_text", 0, 5)]


def test_speech_that_music_drowns_is_not_left_out_in_silence(invoke: Invoke, jfk: bytes, settings: Settings) -> None:
    samples = decode(jfk, settings).samples
    silence = np.zeros(4 * SAMPLE_RATE_HZ, np.float32)
    drowned = samples + at_level(SOUNDS["band"](11), 20 * np.log10(samples.std()) + 6)
    transcript = Transcript.from_json(invoke(wav(np.concatenate([samples, silence, drowned, silence])), None))
    assert "what you can do for your country" in transcript.text
    found = [each for each in transcript.whisperstack.warnings if each.code == "sound_without_text"]
    assert sum((each.end or 0) - (each.start or 0) for each in found) >= 5
    assert all(14.5 <= (each.start or 0) < (each.end or 0) <= 26.5 for each in found)


def test_without_speech_detection_the_model_hears_all(
    invoke: Invoke, model: Transcriber, with_options: Callable[[str], Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hear(_samples: object, _options: object, speech: object) -> Recognition:
        assert speech == ((0, 5),)
        return Recognition("en", ())

    monkeypatch.setattr(model._engine, "recognise", hear)
    transcript = Transcript.from_json(invoke(wav(at_level(SOUNDS["tone"](5), -20)), with_options('{"vad": false}')))
    # It is looked for all the same, so that invented words can be told.
    assert transcript.whisperstack.speech_seconds == 0


def test_segments_without_a_word_are_dropped(invoke_exact: Invoke, jfk: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def segment(start: int, text: str) -> dict[str, Any]:
        numbers = {"avg_logprob": -0.5, "compression_ratio": 1.0, "no_speech_prob": 0.1, "temperature": 0.0}
        return {"start": float(start), "end": 99.0, "text": text, **numbers}

    segments = [segment(*numbered) for numbered in enumerate((" . . .", "", " Yes.", " \u5594"))]
    heard = {"language": "en", "segments": segments}
    monkeypatch.setattr("whisper_serving.pytorch_engine.transcribe_windows", lambda *_, **__: heard)
    transcript = Transcript.from_json(invoke_exact(jfk, None))
    assert [(part.id, part.text, part.end) for part in transcript.segments] == [(0, " Yes.", 3.0), (1, " \u5594", 11.0)]
    assert transcript.text == "Yes. \u5594"


def test_speech_after_music_is_heard_and_the_music_is_not(invoke: Invoke, jfk: bytes, settings: Settings) -> None:
    music = at_level(SOUNDS["band"](20), -20)
    transcript = Transcript.from_json(invoke(wav(np.concatenate([music, decode(jfk, settings).samples])), None))
    assert "my fellow america" in transcript.text.lower()
    assert "what you can do for your country" in transcript.text
    assert transcript.segments[0].start > 19
    assert transcript.duration == pytest.approx(31, abs=0.1)
    assert 9 < transcript.whisperstack.speech_seconds < 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ('{"language": "de"}', "language is 'de'; tiny.en knows: en"),
        ('{"task": "translate"}', "task is 'translate'; tiny.en knows English only"),
        ('{"language": "xx"}', "language is 'xx'"),
        ('{"speed": 2}', "unknown options: 'speed'"),
        ("fast please", "the options are not JSON"),
    ],
)
def test_options_that_the_model_cannot_meet_are_refused(
    invoke: Invoke, jfk: bytes, with_options: Callable[[str], Context], options: str, message: str
) -> None:
    context = with_options(options)
    error = _error(invoke(jfk, context))
    assert (error.code, error.retryable) == ("invalid_options", False)
    assert message in error.message
    assert context.status == (400, "Bad Request")


@pytest.mark.parametrize("options", ["", '{"language": "en", "task": "transcribe"}', '{"language": null}'])
def test_options_that_the_model_can_meet_are_taken(
    invoke: Invoke, silence_of: Callable[[float], bytes], with_options: Callable[[str], Context], options: str
) -> None:
    assert Transcript.from_json(invoke(silence_of(1), with_options(options))).language == "en"


def test_options_are_found_under_a_lower_case_header(invoke: Invoke, jfk: bytes) -> None:
    context = Context({"x-amzn-sagemaker-custom-attributes": '{"language": "de"}'})
    assert _error(invoke(jfk, context)).code == "invalid_options"


@pytest.mark.parametrize("body", [b"", bytearray(), ""])
def test_an_empty_body_is_refused(invoke: Invoke, body: Any, context: Context) -> None:
    assert _error(invoke(body, context)).code == "empty_file"
    assert context.status == (400, "Bad Request")


@pytest.mark.parametrize("content_type", ["text/plain", "text/csv", "application/json"])
def test_text_is_refused_as_no_audio(invoke: Invoke, context: Context, content_type: str) -> None:
    assert _error(invoke('{"note": "\udcff no audio"}', context, content_type)).code == "not_audio"
    assert context.status == (415, "Unsupported Media Type")


def _set_up_as(model: Transcriber, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    settings = Settings.from_environment({"WHISPERSTACK_MODEL_DIGEST": DIGEST, **variables})
    monkeypatch.setattr(model, "_settings", settings)


@pytest.mark.parametrize("body", [b"", b"no audio"])
def test_in_batch_an_error_document_comes_with_status_200(
    invoke: Invoke, model: Transcriber, context: Context, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    _set_up_as(model, monkeypatch, TranscriptionOptions().to_batch_environment())
    assert _error(invoke(body, context)).code in ("empty_file", "not_audio")
    assert context.status is None


def test_in_batch_an_unavailable_model_answers_with_status_200_too(
    handler: ModuleType, tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in TranscriptionOptions().to_batch_environment().items():
        monkeypatch.setenv(name, value)
    model = handler.model_fn(str(tmp_path))
    answer = handler.transform_fn(model, b"", "audio/mpeg", "application/json", context)
    assert _error(answer).code == "model_unavailable"
    assert context.status is None


def test_the_options_of_a_batch_job_are_those_of_its_files(
    invoke: Invoke, model: Transcriber, jfk: bytes, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set_up_as(model, monkeypatch, TranscriptionOptions(max_duration_seconds=5).to_batch_environment())
    assert _error(invoke(jfk, context)).code == "audio_too_long"
    _set_up_as(model, monkeypatch, {"WHISPERSTACK_OPTIONS": '{"langauge": "en"}'})
    assert "allowed: language, task" in _error(invoke(jfk, context)).message


def test_a_request_goes_before_the_defaults_of_its_endpoint(
    invoke: Invoke,
    model: Transcriber,
    silence_of: Callable[[float], bytes],
    with_options: Callable[[str], Context],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _set_up_as(model, monkeypatch, {"WHISPERSTACK_DEFAULT_OPTIONS": '{"max_duration_seconds": 1}'})
    assert _error(invoke(silence_of(3), with_options(""))).code == "audio_too_long"
    allowed = with_options('{"max_duration_seconds": null}')
    assert Transcript.from_json(invoke(silence_of(3), allowed)).duration == 3.0


def test_work_on_a_request_ends_when_its_time_in_real_time_is_over(
    invoke: Invoke, model: Transcriber, jfk: bytes, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"WHISPERSTACK_MODEL_DIGEST": DIGEST, "WHISPERSTACK_INFERENCE_OPTION": "real-time"}
    realtime = Settings.from_environment(environment)
    # Less than SageMaker waits, so that the client gets this answer.
    assert realtime.answer_seconds == 55
    monkeypatch.setattr(model, "_settings", replace(realtime, answer_seconds=0.01))
    error = _error(invoke(jfk, context))
    assert (error.code, error.retryable) == ("inference_timed_out", False)
    assert "longer than the 0.01 s that real-time inference has for an answer; use asynchronous inference" in error.message
    monkeypatch.setattr(model, "_settings", realtime)
    assert "your country" in Transcript.from_json(invoke(jfk, None)).text


@pytest.mark.parametrize("option", ["asynchronous", "batch"])
def test_only_real_time_has_a_time_to_answer(option: str) -> None:
    environment = {"WHISPERSTACK_MODEL_DIGEST": DIGEST, "WHISPERSTACK_INFERENCE_OPTION": option}
    assert Settings.from_environment(environment).answer_seconds is None


def test_a_recording_too_large_for_real_time_is_told_what_takes_it(
    invoke: Invoke, model: Transcriber, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set_up_as(model, monkeypatch, {"WHISPERSTACK_INFERENCE_OPTION": "real-time"})
    error = ErrorDocument.from_json(invoke(bytes(25 * 1024**2 + 1), context))
    assert error is not None
    assert error.code == "file_too_large"
    assert "asynchronous inference takes up to 1 GiB" in error.message
    assert context.status == (413, "Request Entity Too Large")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("WHISPERSTACK_INFERENCE_OPTION", "serverless", "'serverless'; set it to one of: real-time, batch, asynchronous"),
        ("WHISPERSTACK_MAX_AUDIO_BYTES", "0", "'0'; set it to bytes above 0, at most 1073741824"),
        ("WHISPERSTACK_MAX_AUDIO_BYTES", "25 MB", "'25 MB'; set it to bytes"),
    ],
)
def test_a_setting_that_does_not_exist_is_refused(name: str, value: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        Settings.from_environment({"WHISPERSTACK_MODEL_DIGEST": DIGEST, name: value})


def test_the_largest_request_can_be_set_apart_from_the_option() -> None:
    variables = {"WHISPERSTACK_INFERENCE_OPTION": "real-time", "WHISPERSTACK_MAX_AUDIO_BYTES": "1000"}
    settings = Settings.from_environment({"WHISPERSTACK_MODEL_DIGEST": DIGEST, **variables})
    with pytest.raises(FileTooLargeError, match=r"the limit of real-time inference is 1000 .*; asynchronous inference takes"):
        decode(bytes(1001), settings)


def test_an_error_without_a_context_is_still_a_document(invoke: Invoke) -> None:
    assert _error(invoke(b"no audio", None)).code == "not_audio"


def test_what_nobody_foresaw_is_a_typed_error_and_a_trace_in_the_log(
    invoke: Invoke,
    jfk: bytes,
    model: Transcriber,
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("size mismatch in layer 3")

    monkeypatch.setattr(model._engine, "recognise", fail)
    answer = invoke(jfk, context)
    error = _error(answer)
    assert (error.code, error.retryable) == ("inference_failed", True)
    assert context.status == (500, "Internal Server Error")
    assert "mismatch" not in answer
    assert "size mismatch in layer 3" in caplog.text
    assert "Traceback" in caplog.text
