"""Whatever a WAV file says of itself, the decoder gives samples within the limits or a refusal that blames the file."""

import dataclasses
import math
import struct
import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.examples import fuzzed
from whisper_serving.audio import SAMPLE_RATE_HZ, decode
from whisper_serving.settings import Settings
from whisperstack_contract.errors import RejectedInputError

LIMIT_SECONDS = 5.0
SETTINGS = dataclasses.replace(
    Settings.from_environment({"WHISPERSTACK_MODEL_DIGEST": "0" * 64}),
    max_audio_seconds=LIMIT_SECONDS,
    decoding_timeout_seconds=20,
)
TONE = array("h", [round(8000 * math.sin(index / 6)) for index in range(SAMPLE_RATE_HZ // 4)]).tobytes()

edges = [0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF]
short = st.sampled_from([value for value in edges if value <= 0xFFFF]) | st.integers(0, 0xFFFF)
long = st.sampled_from(edges) | st.integers(0, 0xFFFF_FFFF)
names = st.sampled_from([b"LIST", b"fact", b"JUNK", b"ds64", b"fmt ", b"data", b"RIFF", b"cue ", b"\0\0\0\0"]) | st.binary(
    min_size=4, max_size=4
)
chunks = st.lists(st.tuples(names, st.none() | long, st.binary(max_size=40)), max_size=4)
# PCM, ADPCM, float, A-law, mu-law, GSM, MP3 and the extensible format.
formats = st.sampled_from([0x0001, 0x0002, 0x0003, 0x0006, 0x0007, 0x0011, 0x0031, 0x0055, 0xFFFE]) | short


def _chunk(name: bytes, size: int | None, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body


@st.composite
def lying_files(draw: st.DrawFn) -> bytes:
    """A file in order, but for what its fields say."""
    numbers = [1, 1, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * 2, 2, 16]
    for index in draw(st.sets(st.integers(0, 5), max_size=3)):
        numbers[index] = draw(formats if index == 0 else short if index in (1, 4, 5) else long)
    header = struct.pack("<HHIIHH", *numbers) + draw(st.just(b"") | st.binary(max_size=24))
    before, between = ([_chunk(*chunk) for chunk in draw(chunks)] for _ in range(2))
    data = _chunk(b"data", draw(st.none() | long), TONE)
    inside = b"".join([b"WAVE", *before, _chunk(b"fmt ", draw(st.none() | st.integers(0, 60)), header), *between, data])
    return (
        draw(st.sampled_from([b"RIFF", b"RF64", b"RIFX", b"riff"]))
        + struct.pack("<I", draw(long | st.just(len(inside))))
        + inside
    )


@st.composite
def damaged_files(draw: st.DrawFn) -> bytes:
    """A good file with bytes of its header overwritten, and cut off somewhere."""
    header = b"WAVE" + _chunk(b"fmt ", None, struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * 2, 2, 16))
    inside = header + _chunk(b"data", None, TONE)
    content = bytearray(b"RIFF" + struct.pack("<I", len(inside)) + inside)
    for place, byte in draw(st.dictionaries(st.integers(0, 60), st.integers(0, 255), max_size=6)).items():
        content[place] = byte
    return bytes(content[: draw(st.integers(0, len(content)) | st.just(len(content)))])


@pytest.fixture
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@fuzzed(share=0.1)
@given(lying_files() | damaged_files())
def test_a_wav_is_decoded_within_the_limits_or_refused(temporary_files: Path, content: bytes):
    try:
        recording = decode(content, SETTINGS)
    except RejectedInputError as error:
        assert len(str(error)) > 20  # noqa: PT017  # what is wrong, and what helps
    else:
        assert 0 < len(recording.samples) <= (LIMIT_SECONDS + 1) * SAMPLE_RATE_HZ
        assert abs(recording.samples).max() <= 1
        assert recording.facts.decoded_seconds <= LIMIT_SECONDS
    assert list(temporary_files.iterdir()) == []
