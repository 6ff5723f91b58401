"""Subtitle files for tests: transcripts to render, and strict readers of what comes of them."""

import html
import re
from dataclasses import replace

from hypothesis import strategies as st

from tests.unit.pipeline import transcript
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.transcript import Segment, Transcript, Word

HOUR = 3600.0
seconds = st.floats(-1, 1000 * HOUR, allow_nan=False)
# Text with all that could be taken for syntax, and of several scripts: Arabic, Hebrew, Chinese, Japanese, Thai, Hindi, Korean.
syntax = st.text(st.sampled_from("ab 1-><&\n\r\t\u2028:,.é")) | st.sampled_from(
    ["-->", "--->", "WEBVTT", "NOTE", "1", "", "\u200b"]
)
scripts = st.text(st.sampled_from("مرحبا שלום 会议、。「」ーっ สวัสดีเ नमस्ते 한국어 e\u0301👩\u200d👧🇩🇪, ."), max_size=80)
texts = syntax | scripts
segments = st.builds(Segment, st.just(0), seconds, seconds, texts, *[st.just(0.0)] * 4)
words = st.none() | st.lists(st.builds(Word, texts, seconds, seconds, st.just(0.5)), max_size=12).map(tuple)
transcripts = st.builds(lambda found, heard: replace(transcript_of(*found), words=heard), st.lists(segments, max_size=8), words)
shapes = st.builds(
    lambda width, count, highlight: TranscriptionOptions(
        max_line_width=width, max_line_count=count if width else None, highlight_words=highlight, word_timestamps=True
    ),
    st.none() | st.integers(10, 60),
    st.none() | st.integers(1, 3),
    st.booleans(),
)


def transcript_of(*found: Segment) -> Transcript:
    return replace(transcript(), segments=found)


def a_segment(start: float, end: float, text: str) -> Segment:
    return Segment(0, start, end, text, 0.0, 0.0, 0.0, 0.0)


def spoken(start: float, end: float, text: str) -> Transcript:
    """A segment whose words, cut at spaces, take a second each from its start."""
    heard = [Word(f" {word}", start + index, start + index + 1, 0.9) for index, word in enumerate(text.split())]
    return replace(transcript_of(a_segment(start, end, text)), words=tuple(heard))


def _cues(document: str, mark: str) -> list[tuple[int, int, list[str]]]:
    """A strict reader: blocks between blank lines, a timing line each, text after it. Times in milliseconds."""
    clock = rf"(\d{{2,}}):([0-5]\d):([0-5]\d){re.escape(mark)}(\d{{3}})"
    cues = []
    for block in filter(None, document.split("\n\n")):
        timing, *lines = block.strip("\n").split("\n")
        match = re.fullmatch(f"{clock} --> {clock}", timing)
        assert match, timing
        assert lines
        assert all(line.strip() for line in lines)
        assert not any("-->" in line for line in lines)
        numbers = [int(group) for group in match.groups()]
        start, end = (((h * 60 + m) * 60 + s) * 1000 + ms for h, m, s, ms in (numbers[:4], numbers[4:]))
        cues.append((start, end, lines))
    return cues


def read_vtt(document: str) -> list[tuple[int, int, list[str]]]:
    """With highlights still marked, as [word]."""
    assert document.startswith("WEBVTT\n")
    cues = _cues(document.removeprefix("WEBVTT\n"), ".")
    marked = [(start, end, [re.sub("<u>(.*?)</u>", r"[\1]", line) for line in lines]) for start, end, lines in cues]
    assert not any(re.search("[<>]|&(?!amp;|lt;|gt;)", line) for _, _, lines in marked for line in lines)
    return [(start, end, [html.unescape(line) for line in lines]) for start, end, lines in marked]


def read_srt(document: str) -> list[tuple[int, int, list[str]]]:
    numbers, blocks = [], []
    for block in filter(None, document.split("\n\n")):
        number, _, rest = block.lstrip("\n").partition("\n")
        numbers.append(int(number))
        blocks.append(rest)
    assert numbers == list(range(1, len(numbers) + 1))
    return _cues("\n\n".join(blocks), ",")
