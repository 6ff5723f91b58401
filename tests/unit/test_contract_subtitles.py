"""Subtitles that every player can read: what was said comes back, in order, cue by cue."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.pipeline import transcript
from whisperstack_contract.subtitles import RENDERERS, render_srt, render_txt, render_vtt
from whisperstack_contract.transcript import Segment, Transcript

HOUR = 3600.0

seconds = st.floats(-1, 1000 * HOUR, allow_nan=False)
# Text with all that could be taken for syntax.
texts = st.text(st.sampled_from("ab 1-><&\n\r\t\u2028:,.é")) | st.sampled_from(["-->", "--->", "WEBVTT", "NOTE", "1", ""])
segments = st.builds(Segment, st.just(0), seconds, seconds, texts, *[st.just(0.0)] * 4)
transcripts = st.lists(segments, max_size=8).map(lambda found: _with(*found))


def _with(*found: Segment) -> Transcript:
    empty = transcript()
    return Transcript(empty.task, empty.language, empty.duration, empty.text, empty.whisperstack, found)


def _segment(start: float, end: float, text: str) -> Segment:
    return Segment(0, start, end, text, 0.0, 0.0, 0.0, 0.0)


def _cues(document: str, mark: str) -> list[tuple[int, int, list[str]]]:
    """A strict reader: blocks between blank lines, a timing line each, text after it. Times in milliseconds."""
    clock = rf"(\d{{2,}}):([0-5]\d):([0-5]\d){re.escape(mark)}(\d{{3}})"
    cues = []
    for block in filter(None, document.split("\n\n")):
        timing, *lines = block.strip("\n").split("\n")
        match = re.fullmatch(f"{clock} --> {clock}", timing)
        assert match, timing
        assert lines
        assert not any("-->" in line for line in lines)
        numbers = [int(group) for group in match.groups()]
        start, end = (((h * 60 + m) * 60 + s) * 1000 + ms for h, m, s, ms in (numbers[:4], numbers[4:]))
        cues.append((start, end, lines))
    return cues


def _read_vtt(document: str) -> list[tuple[int, int, list[str]]]:
    assert document.startswith("WEBVTT\n")
    cues = _cues(document.removeprefix("WEBVTT\n"), ".")
    assert not any(re.search("[<>]|&(?!amp;|lt;|gt;)", line) for _, _, lines in cues for line in lines)
    return [(start, end, [html.unescape(line) for line in lines]) for start, end, lines in cues]


def _read_srt(document: str) -> list[tuple[int, int, list[str]]]:
    numbers, blocks = [], []
    for block in filter(None, document.split("\n\n")):
        number, _, rest = block.lstrip("\n").partition("\n")
        numbers.append(int(number))
        blocks.append(rest)
    assert numbers == list(range(1, len(numbers) + 1))
    return _cues("\n\n".join(blocks), ",")


def _spoken(found: Transcript) -> list[list[str]]:
    lines = ([line.strip() for line in segment.text.splitlines() if line.strip()] for segment in found.segments)
    return [spoken for spoken in lines if spoken]


@given(transcripts)
def test_webvtt_gives_back_every_word(found: Transcript):
    assert [lines for _, _, lines in _read_vtt(render_vtt(found))] == _spoken(found)


@given(transcripts)
def test_subrip_gives_back_every_word_but_arrows(found: Transcript):
    expected = [[re.sub("-{2,}>", "->", line) for line in lines] for lines in _spoken(found)]
    assert [lines for _, _, lines in _read_srt(render_srt(found))] == expected


@given(transcripts)
def test_cues_have_a_length_and_do_not_overlap(found: Transcript):
    for cues in (_read_vtt(render_vtt(found)), _read_srt(render_srt(found))):
        times = [time for start, end, _ in cues for time in (start, end)]
        assert times == sorted(times)
        assert all(0 <= start < end for start, end, _ in cues)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 10**6)), max_size=6))
def test_orderly_segments_keep_their_times_to_the_millisecond(spans: list[tuple[int, int]]):
    clock, expected = 0, []
    for gap, length in spans:
        expected.append((clock + gap, clock + gap + length))
        clock += gap + length
    found = _with(*[_segment(start / 1000, end / 1000, "word") for start, end in expected])

    assert [(start, end) for start, end, _ in _read_vtt(render_vtt(found))] == expected


@given(transcripts)
def test_text_has_one_line_for_each_segment_that_has_text(found: Transcript):
    assert render_txt(found).split("\n")[:-1] == [" ".join(lines) for lines in _spoken(found)]


def test_a_recording_longer_than_99_hours_gets_three_digits():
    found = _with(_segment(100 * HOUR, 100 * HOUR + 1.5, "late"))

    assert "100:00:00.000 --> 100:00:01.500" in render_vtt(found)
    assert "100:00:00,000 --> 100:00:01,500" in render_srt(found)


@pytest.mark.parametrize(
    ("text", "vtt", "srt"),
    [
        ("a --> b", "a --&gt; b", "a -> b"),
        ("---->", "----&gt;", "->"),
        ("R&D <b>", "R&amp;D &lt;b&gt;", "R&D <b>"),
        ("one\n\n two ", "one\ntwo", "one\ntwo"),
    ],
)
def test_text_that_looks_like_syntax_stays_text(text: str, vtt: str, srt: str):
    found = _with(_segment(0, 1, text))

    assert render_vtt(found) == f"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{vtt}\n"
    assert render_srt(found) == f"1\n00:00:00,000 --> 00:00:01,000\n{srt}\n"


def test_a_recording_without_speech_has_files_without_cues():
    assert {suffix: render(_with()) for suffix, render in RENDERERS.items() if suffix != "json"} == {
        "txt": "",
        "srt": "",
        "vtt": "WEBVTT\n",
    }
