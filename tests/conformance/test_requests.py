"""What the deployed stack answers to requests, good and bad."""

import json
import wave
from pathlib import Path

import pytest

from tests.conformance.answers import SENTENCE, error_of, text_of
from tests.conformance.conftest import Container
from tests.conformance.serving_stack import RunningStack
from whisperstack_contract.limits import ASYNC_PAYLOAD_BYTES


@pytest.mark.short
@pytest.mark.parametrize("extension", ["mp3", "wav", "m4a", "flac", "ogg", "webm"])
def test_a_recording_becomes_its_sentence(running: RunningStack, recording, extension):
    answer = running.invoke(recording(extension), f"audio/{extension}")
    assert SENTENCE in text_of(answer)
    # One JSON document: of a pair, Multi Model Server would send a list.
    assert set(json.loads(answer.body)) >= {"text", "segments", "language", "whisperstack"}


@pytest.mark.parametrize(
    "content_type",
    # The first is the article's. The last two are decoded by the toolkits, unless the handler prevents it.
    ["audio/x-audio", "application/octet-stream", "text/plain", "application/json", "text/csv"],
)
def test_audio_is_audio_by_whatever_name(running: RunningStack, recording, content_type):
    assert SENTENCE in text_of(running.invoke(recording("wav"), content_type))


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


def test_the_embedded_aws_answers_as_the_stack_does(running: RunningStack, container: Container, deployed, recording):
    requests = [
        (recording("mp3"), "audio/mpeg", None),
        (recording("wav"), "application/json", '{"word_timestamps": true}'),
        (recording("mp3"), "audio/mpeg", '{"colour": "blue"}'),
        (b"", "audio/mpeg", None),
        (b"these are words, not sound", "text/plain", None),
        (bytes(range(256)) * 64, "audio/wav", None),
    ]
    with container.emulate("deployed", deployed) as emulated:
        for body, content_type, attributes in requests:
            real = running.invoke(body, content_type, attributes=attributes)
            other = emulated.invoke(body, content_type, attributes=attributes)
            assert (other.status, _shape(other.body)) == (real.status, _shape(real.body))
        assert emulated.ping() == running.ping()


def _shape(body: bytes):
    """An error document as it is; of a transcript its text and its keys, for the rest are times."""
    document = json.loads(body)
    return document if "error" in document else (document["text"], {key: type(value) for key, value in document.items()})


@pytest.mark.of_the_stack
def test_a_body_of_one_gigabyte_is_answered(running: RunningStack, container: Container, tmp_path: Path, capsys):
    """The most that asynchronous inference takes. How much memory that takes is printed for whoever runs this."""
    path = tmp_path / "silence.wav"
    with wave.open(str(path), "wb") as file:
        # The most bytes for a second of sound, so that it stays within the limit of an hour.
        file.setnchannels(2)
        file.setsampwidth(4)
        file.setframerate(96_000)
        block = bytes(8 * 96_000)
        for _ in range((ASYNC_PAYLOAD_BYTES - 44) // len(block)):
            file.writeframesraw(block)
    with path.open("rb") as body:
        answer = running.invoke(body, "audio/wav", seconds=900)
    size_mib = path.stat().st_size / 2**20
    path.unlink()
    peaks = {"server": running.java(), "worker": running.workers()[0]}
    shown = ", ".join(f"{name} {_peak_mib(process.pid)} MiB" for name, process in peaks.items())
    with capsys.disabled():
        print(f"\n{container.pair}: {size_mib:.0f} MiB in {answer.seconds:.0f} s; peak resident memory: {shown}")  # noqa: T201
    assert text_of(answer) == ""


def _peak_mib(pid: int) -> int:
    """Source: proc(5), VmHWM."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024
