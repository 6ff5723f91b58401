"""Subtitles that every player can read: what was said comes back, in order, cue by cue, in the shape that was asked for."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.subtitle_files import HOUR, a_segment, read_srt, read_vtt, shapes, spoken, transcript_of, transcripts
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.subtitles import RENDERERS, render_srt, render_tsv, render_txt, render_vtt
from whisperstack_contract.text_layout import clusters, columns
from whisperstack_contract.transcript import Transcript, Word

PLAIN = TranscriptionOptions()


def _letters(text: str) -> str:
    return "".join(character for character in text if not character.isspace())


def _shown(cues: list[tuple[int, int, list[str]]]) -> str:
    return _letters("".join(line for _, _, lines in cues for line in lines))


def _expected(found: Transcript) -> str:
    visible = (segment.text for segment in found.segments if any(columns(each) for _, each in clusters(segment.text)))
    return _letters("".join(visible))


def _width(line: str) -> int:
    return sum(columns(each) + columns(gap or "\u200b") for gap, each in clusters(line))


@given(transcripts, shapes)
def test_webvtt_gives_back_every_character_in_order(found: Transcript, shape: TranscriptionOptions):
    assert _shown(read_vtt(render_vtt(found, replace(shape, highlight_words=False)))) == _expected(found)


@given(transcripts, shapes)
def test_subrip_gives_back_every_character_but_arrows(found: Transcript, shape: TranscriptionOptions):
    assume("-" not in _expected(found))
    assert _shown(read_srt(render_srt(found, shape))) == _expected(found)


@given(transcripts, shapes)
def test_cues_have_a_length_of_at_most_seven_seconds_and_do_not_overlap(found: Transcript, shape: TranscriptionOptions):
    for cues in (read_vtt(render_vtt(found, shape)), read_srt(render_srt(found, shape))):
        times = [time for start, end, _ in cues for time in (start, end)]
        assert times == sorted(times)
        assert all(0 <= start < end <= start + 7000 for start, end, _ in cues)


@given(transcripts, shapes)
def test_no_line_is_wider_and_no_cue_taller_than_asked_for(found: Transcript, shape: TranscriptionOptions):
    for _, _, lines in read_vtt(render_vtt(found, replace(shape, highlight_words=False))):
        assert len(lines) <= (shape.max_line_count or len(lines))
        assert all(_width(line) <= (shape.max_line_width or 10**9) for line in lines)


@given(transcripts, shapes)
def test_highlights_change_neither_text_nor_times(found: Transcript, shape: TranscriptionOptions):
    plain = read_vtt(render_vtt(found, replace(shape, highlight_words=False)))
    marked = read_vtt(render_vtt(found, replace(shape, highlight_words=True)))
    views = iter(marked)
    for start, end, lines in plain:
        now = start
        while now < end:
            view_start, view_end, view_lines = next(views)
            assert view_start == now
            assert [line.replace("[", "").replace("]", "") for line in view_lines] == lines
            assert sum(line.count("[") for line in view_lines) <= len(lines)
            now = view_end
        assert now == end
    assert next(views, None) is None


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 7000)), max_size=6))
def test_orderly_segments_keep_their_times_to_the_millisecond(spans: list[tuple[int, int]]):
    clock, expected = 0, []
    for gap, length in spans:
        expected.append((clock + gap, clock + gap + length))
        clock += gap + length
    found = transcript_of(*[a_segment(start / 1000, end / 1000, "word") for start, end in expected])

    assert [(start, end) for start, end, _ in read_vtt(render_vtt(found))] == expected


@given(transcripts)
def test_text_and_tsv_have_one_line_for_each_segment_that_has_text(found: Transcript):
    spoken = [segment for segment in found.segments if _letters(segment.text)]

    assert [_letters(line) for line in render_txt(found).split("\n")[:-1]] == [_letters(each.text) for each in spoken]
    header, *rows = render_tsv(found).split("\n")[:-1]
    assert header == "start\tend\ttext"
    assert [(int(row.split("\t")[0]), int(row.split("\t")[1])) for row in rows] == [
        (round(each.start * 1000), round(each.end * 1000)) for each in spoken
    ]
    assert all(row.count("\t") == 2 for row in rows)


def test_a_recording_longer_than_99_hours_gets_three_digits():
    found = transcript_of(a_segment(100 * HOUR, 100 * HOUR + 1.5, "late"))

    assert "100:00:00.000 --> 100:00:01.500" in render_vtt(found)
    assert "100:00:00,000 --> 100:00:01,500" in render_srt(found)


@pytest.mark.parametrize(
    ("text", "vtt", "srt"),
    [
        ("a --> b", "a --&gt; b", "a -> b"),
        ("---->", "----&gt;", "->"),
        ("R&D <b>", "R&amp;D &lt;b&gt;", "R&D <b>"),
        ("one\n\n two ", "one two", "one two"),
        (
            "one\n\n2\n00:00:00,000 --> 00:00:01,000",
            "one 2 00:00:00,000 --&gt; 00:00:01,000",
            "one 2 00:00:00,000 -> 00:00:01,000",
        ),
    ],
)
def test_text_that_looks_like_syntax_stays_text(text: str, vtt: str, srt: str):
    found = transcript_of(a_segment(0, 1, text))

    assert render_vtt(found) == f"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{vtt}\n"
    assert render_srt(found) == f"1\n00:00:00,000 --> 00:00:01,000\n{srt}\n"


def test_a_recording_without_speech_has_files_without_cues():
    assert {suffix: render(transcript_of(), PLAIN) for suffix, render in RENDERERS.items() if suffix != "json"} == {
        "txt": "",
        "srt": "",
        "vtt": "WEBVTT\n",
        "tsv": "start\tend\ttext\n",
    }


def test_without_word_times_a_cue_gets_the_share_of_its_text():
    (first, second) = read_vtt(render_vtt(transcript_of(a_segment(0, 10, "abcd. efghi"))))

    assert first[:2] == (0, 4545)
    assert second[:2] == (4545, 10_000)


def test_word_times_say_when_a_cue_begins_and_ends():
    cues = read_vtt(render_vtt(spoken(30, 60, "One two. Three four five six seven eight.")))

    assert [(start, end) for start, end, _ in cues] == [(30_000, 32_000), (32_000, 38_000)]


def test_words_that_leave_out_punctuation_still_give_their_times():
    found = replace(transcript_of(a_segment(0, 4, "Well, no. Yes!")), words=tuple(
        Word(word, start, start + 0.5, 0.9) for word, start in (("Well", 1.0), ("no", 2.0), ("Yes", 3.0))
    ))  # fmt: skip

    assert read_vtt(render_vtt(found))[0][:2] == (1000, 3500)


def test_words_that_are_not_those_of_the_text_are_not_believed():
    found = replace(
        transcript_of(a_segment(0, 4, "Well, no.")), words=(Word("something", 8.0, 9.0, 0.9), Word("else", 9.0, 9.5, 0.9))
    )

    assert read_vtt(render_vtt(found, TranscriptionOptions(highlight_words=True, word_timestamps=True))) == [
        (0, 4000, ["Well, no."])
    ]


def test_each_word_is_highlighted_while_it_is_spoken():
    found = replace(spoken(0, 3, "Ask & not"), words=(Word(" Ask", 0, 0.5, 1), Word(" &", 1, 1.5, 1), Word(" not", 1.5, 3, 1)))

    assert read_vtt(render_vtt(found, TranscriptionOptions(highlight_words=True, word_timestamps=True))) == [
        (0, 500, ["[Ask] & not"]),
        (500, 1000, ["Ask & not"]),
        (1000, 1500, ["Ask [&] not"]),
        (1500, 3000, ["Ask & [not]"]),
    ]
