"""openai-whisper's own writers make the same files, where they have the same rules."""

import io
import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from whisper.utils import get_writer

from tests.unit.subtitle_files import a_segment, transcript_of
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.subtitles import RENDERERS, render_srt, render_vtt
from whisperstack_contract.transcript import Transcript, Word

# What openai-whisper's writers agree with: orderly segments of at most seven seconds, words between spaces, nothing to escape.
plain_words = st.text(st.sampled_from("abcdé,.'?"), min_size=1, max_size=9)
timed_words = st.lists(st.tuples(plain_words, st.integers(0, 300), st.integers(1, 400)), min_size=1, max_size=10)


@st.composite
def orderly(draw: st.DrawFn) -> Transcript:
    clock, found, heard = 0, [], []
    for timed in draw(st.lists(timed_words, max_size=5)):
        first = clock + timed[0][1]
        for word, pause, length in timed:
            heard.append(Word(f" {word}", (clock + pause) / 1000, (clock + pause + length) / 1000, 0.9))
            clock += pause + length
        found.append(a_segment(first / 1000, clock / 1000, "".join(f" {word}" for word, _, _ in timed)))
    return replace(transcript_of(*found), words=tuple(heard))


def _openai(found: Transcript, suffix: str, *, with_words: bool, **options: object) -> str:
    """What openai-whisper writes of the same result."""
    result, heard = {"segments": []}, list(found.words or ())
    for segment in found.segments:
        entry = {"start": segment.start, "end": segment.end, "text": segment.text}
        if with_words:
            count = len(segment.text.split())
            entry["words"] = [{"word": word.word, "start": word.start, "end": word.end} for word in heard[:count]]
            heard = heard[count:]
        result["segments"].append(entry)
    file = io.StringIO()
    get_writer(suffix, ".").write_result(result, file, options)
    return file.getvalue()


def _as_openai_clock(document: str) -> str:
    """openai-whisper leaves out hours in WebVTT."""
    return re.sub(r"^00:(\d\d:\d\d\.\d{3}) --> 00:", r"\1 --> ", document, flags=re.MULTILINE)


@given(orderly())
def test_openai_whispers_own_writers_agree(found: Transcript):
    silent = replace(found, words=None)
    for suffix in ("txt", "tsv"):
        assert RENDERERS[suffix](found, TranscriptionOptions()) == _openai(found, suffix, with_words=False)
    assert render_srt(silent).rstrip() == _openai(found, "srt", with_words=False).rstrip()
    assert _as_openai_clock(render_vtt(silent)).rstrip() == _openai(found, "vtt", with_words=False).rstrip()


@given(orderly(), st.none() | st.integers(10, 40), st.booleans())
def test_openai_whispers_own_writers_agree_on_words_lines_and_highlights(found: Transcript, width: int | None, highlight: bool):
    shape = TranscriptionOptions(max_line_width=width, highlight_words=highlight, word_timestamps=True)
    theirs = _openai(found, "vtt", with_words=True, max_line_width=width, highlight_words=highlight)
    # Where a line ends, they leave the mark to the next word; and who speaks without a pause needs no view without a mark.
    assert _as_openai_clock(render_vtt(found, shape)).rstrip() == theirs.rstrip()
