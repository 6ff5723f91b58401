"""What the deployed stack answers to requests, good and bad."""

import json
import threading

import pytest

from tests.conformance.conftest import Container
from tests.conformance.serving_stack import RunningStack
from whisperstack_contract.errors import ERRORS_BY_CODE, ErrorDocument

SENTENCE = "ask not what your country can do for you"


def text_of(answer):
    assert answer.status == 200, answer.text[:500]
    return json.loads(answer.body)["text"]


def error_of(answer):
    """The typed error, whose status is the one that its code has."""
    error = ErrorDocument.from_json(answer.body)
    assert error is not None, answer.text[:500]
    assert answer.status == ERRORS_BY_CODE[error.code].http_status
    assert "Traceback" not in answer.text
    return error


@pytest.mark.short
@pytest.mark.parametrize("extension", ["mp3", "wav", "m4a", "flac", "ogg", "webm"])
def test_a_recording_becomes_its_sentence(running: RunningStack, recording, extension):
    answer = running.invoke(recording(extension), f"audio/{extension}")
    assert SENTENCE in text_of(answer)
    # One JSON document: of a pair, Multi Model Server would send a list.
    assert set(json.loads(answer.body)) >= {"text", "segments", "language", "whisperstack"}


@pytest.mark.parametrize(
    "content_type",
    ["audio/x-audio", "application/octet-stream", "application/x-audio"],
)
def test_audio_is_audio_by_whatever_name(running: RunningStack, recording, content_type):
    assert SENTENCE in text_of(running.invoke(recording("wav"), content_type))


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "text/csv"])
def test_audio_that_is_called_text_is_transcribed_or_refused(running: RunningStack, recording, content_type):
    """The toolkits decode some of these types before the handler sees them; the pipeline never sends a recording under one."""
    answer = running.invoke(recording("wav"), content_type)
    if answer.status == 200:
        assert SENTENCE in text_of(answer)
    else:
        assert answer.status in (400, 415, 500)
        assert "Traceback" not in answer.text


@pytest.mark.short
@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"", "audio/mpeg", "empty_file"),
        (b"these are words, not sound", "audio/mpeg", "not_audio"),
        (b"these are words, not sound", "text/plain", "not_audio"),
        (b'{"audio": "no"}', "application/json", "not_audio"),
        (bytes(range(256)) * 64, "audio/wav", "not_audio"),
    ],
    ids=["empty", "text", "text as text", "json", "noise"],
)
def test_what_is_no_recording_gets_a_typed_error(running: RunningStack, body, content_type, code):
    assert error_of(running.invoke(body, content_type)).code == code


@pytest.mark.short
def test_options_arrive_and_wrong_ones_are_refused(running: RunningStack, recording):
    answer = running.invoke(recording("mp3"), attributes='{"word_timestamps": true}')
    assert SENTENCE in text_of(answer)
    refused = running.invoke(recording("mp3"), attributes='{"colour": "blue"}')
    assert error_of(refused).code == "invalid_options"


def test_parallel_requests_are_all_answered_by_the_workers_that_were_asked_for(container: Container, recording):
    with container.run("workers", **_workers(container, 2)) as stack:
        assert SENTENCE in text_of(stack.invoke(recording("mp3")))
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(stack.invoke(recording("mp3")))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(stack.workers()) == 2
    assert [SENTENCE in text_of(answer) for answer in answers] == [True] * 6


def test_a_body_over_the_limit_is_refused_and_one_under_it_is_not(container: Container, recording):
    # Eleven seconds of sound and then silence: the headers count in neither stack's limit.
    limit = 8_000_000
    body = recording("wav")
    with container.run("limit", **_sizes(container, limit)) as stack:
        assert stack.invoke(body[:-1], "audio/wav").status == 200
        under = _padded(body, limit - 1_000)
        assert SENTENCE in text_of(stack.invoke(under, "audio/wav"))
        assert stack.invoke(_padded(body, limit + 1_000), "audio/wav").status == 413


def _workers(container: Container, count: int) -> dict[str, str]:
    prefix = {"mms": "MMS", "torchserve": "TS"}[container.pair.stack]
    return {f"{prefix}_DEFAULT_WORKERS_PER_MODEL": str(count), "OMP_NUM_THREADS": "1"}


def _sizes(container: Container, size_bytes: int) -> dict[str, str]:
    prefix = {"mms": "MMS", "torchserve": "TS"}[container.pair.stack]
    return {f"{prefix}_MAX_REQUEST_SIZE": str(size_bytes), f"{prefix}_MAX_RESPONSE_SIZE": str(size_bytes)}


def _padded(wav: bytes, size_bytes: int) -> bytes:
    """The recording and, after its end, a chunk that no decoder plays."""
    filler = size_bytes - len(wav) - 8
    return wav + b"junk" + filler.to_bytes(4, "little") + bytes(filler)
