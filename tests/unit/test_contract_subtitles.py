"""Subtitles that every player can read: what was said comes back, in order, cue by cue, in the shape that was asked for."""

import html
import io
import re
import unicodedata
from dataclasses import replace

import pytest
import regex
from hypothesis import assume, given
from hypothesis import strategies as st
from whisper.utils import get_writer

from tests.unit.pipeline import transcript
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.subtitles import RENDERERS, render_srt, render_tsv, render_txt, render_vtt
from whisperstack_contract.text_layout import clusters, columns
from whisperstack_contract.transcript import Segment, Transcript, Word

HOUR = 3600.0
PLAIN = TranscriptionOptions()

seconds = st.floats(-1, 1000 * HOUR, allow_nan=False)
# Text with all that could be taken for syntax, and of several scripts: Arabic, Hebrew, Chinese, Japanese, Thai, Hindi, Korean.
syntax = st.text(st.sampled_from("ab 1-><&\n\r\t\u2028:,.é")) | st.sampled_from(
    ["-->", "--->", "WEBVTT", "NOTE", "1", "", "\u200b"]
)
scripts = st.text(st.sampled_from("مرحبا שלום 会议、。「」ーっ สวัสดีเ नमस्ते 한국어 e\u0301👩\u200d👧🇩🇪, ."), max_size=80)
texts = syntax | scripts
segments = st.builds(Segment, st.just(0), seconds, seconds, texts, *[st.just(0.0)] * 4)
words = st.none() | st.lists(st.builds(Word, texts, seconds, seconds, st.just(0.5)), max_size=12).map(tuple)
transcripts = st.builds(lambda found, heard: replace(_with(*found), words=heard), st.lists(segments, max_size=8), words)
shapes = st.builds(
    lambda width, count, highlight: TranscriptionOptions(
        max_line_width=width, max_line_count=count if width else None, highlight_words=highlight, word_timestamps=True
    ),
    st.none() | st.integers(10, 60),
    st.none() | st.integers(1, 3),
    st.booleans(),
)


def _with(*found: Segment) -> Transcript:
    return replace(transcript(), segments=found)


def _segment(start: float, end: float, text: str) -> Segment:
    return Segment(0, start, end, text, 0.0, 0.0, 0.0, 0.0)


def _spoken(start: float, end: float, text: str) -> Transcript:
    """A segment whose words, cut at spaces, take a second each from its start."""
    heard = [Word(f" {word}", start + index, start + index + 1, 0.9) for index, word in enumerate(text.split())]
    return replace(_with(_segment(start, end, text)), words=tuple(heard))


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


def _read_vtt(document: str) -> list[tuple[int, int, list[str]]]:
    """With highlights still marked, as [word]."""
    assert document.startswith("WEBVTT\n")
    cues = _cues(document.removeprefix("WEBVTT\n"), ".")
    marked = [(start, end, [re.sub("<u>(.*?)</u>", r"[\1]", line) for line in lines]) for start, end, lines in cues]
    assert not any(re.search("[<>]|&(?!amp;|lt;|gt;)", line) for _, _, lines in marked for line in lines)
    return [(start, end, [html.unescape(line) for line in lines]) for start, end, lines in marked]


def _read_srt(document: str) -> list[tuple[int, int, list[str]]]:
    numbers, blocks = [], []
    for block in filter(None, document.split("\n\n")):
        number, _, rest = block.lstrip("\n").partition("\n")
        numbers.append(int(number))
        blocks.append(rest)
    assert numbers == list(range(1, len(numbers) + 1))
    return _cues("\n\n".join(blocks), ",")


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
    assert _shown(_read_vtt(render_vtt(found, replace(shape, highlight_words=False)))) == _expected(found)


@given(transcripts, shapes)
def test_subrip_gives_back_every_character_but_arrows(found: Transcript, shape: TranscriptionOptions):
    assume("-" not in _expected(found))
    assert _shown(_read_srt(render_srt(found, shape))) == _expected(found)


@given(transcripts, shapes)
def test_cues_have_a_length_of_at_most_seven_seconds_and_do_not_overlap(found: Transcript, shape: TranscriptionOptions):
    for cues in (_read_vtt(render_vtt(found, shape)), _read_srt(render_srt(found, shape))):
        times = [time for start, end, _ in cues for time in (start, end)]
        assert times == sorted(times)
        assert all(0 <= start < end <= start + 7000 for start, end, _ in cues)


@given(transcripts, shapes)
def test_no_line_is_wider_and_no_cue_taller_than_asked_for(found: Transcript, shape: TranscriptionOptions):
    for _, _, lines in _read_vtt(render_vtt(found, replace(shape, highlight_words=False))):
        assert len(lines) <= (shape.max_line_count or len(lines))
        assert all(_width(line) <= (shape.max_line_width or 10**9) for line in lines)


@given(transcripts, shapes)
def test_no_character_is_parted_from_its_marks(found: Transcript, shape: TranscriptionOptions):
    for _, _, lines in _read_srt(render_srt(found, shape)):
        for line in lines[1:]:
            assert unicodedata.category(line[0]) not in ("Mn", "Me", "Mc")
            assert line[0] != "\u200d"


# Consonants, vowels before, above, below and behind them, tones, stackers and signs, of each script by itself.
unspaced = st.sampled_from(
    [
        "กขคงจนมยรลวสหอะาำิีืุูเแโใไ็่้๊๋์ๆฯฺ",
        "ກຂຄງຈນມຍຣລວສຫອະາຳິີືຸູເແໂໃໄ່້໊໋໌ໆຼ",
        "កខគងចនមយរលវសហអាិីឹុូួើេែៃោំះៈ់្៉ៗ។\u200b",
        "ကခဂငစနမယရလဝသဟအါာိီုူေဲံ့း္်ျြွှ၊။",
        "कखनमरसहािीुूेैो्ंः\u093c\u200d\u200c",
    ]
).flatmap(lambda letters: st.text(st.sampled_from(letters), min_size=1, max_size=60))


@given(unspaced, st.integers(10, 30))
def test_scripts_without_spaces_are_never_cut_inside_a_grapheme_cluster(text: str, width: int):
    """The clusters are those of another implementation of UAX 29."""
    cues = _read_srt(render_srt(_with(_segment(0, 5, text)), TranscriptionOptions(max_line_width=width)))
    ends, position = set(), 0
    for cluster in regex.findall(r"\X", text):
        position += len(cluster)
        ends.add(position)
    position = 0
    for _, _, lines in cues:
        for line in lines:
            position += len(line)
            assert position in ends
            # Stacks are not of the standard's clusters, but are one all the same.
            stacked = (
                text[position - 1] in "\u1039\u17d2" and unicodedata.category(text[position : position + 1] or " ") == "Lo"
            )
            assert not stacked


@given(transcripts, shapes)
def test_highlights_change_neither_text_nor_times(found: Transcript, shape: TranscriptionOptions):
    plain = _read_vtt(render_vtt(found, replace(shape, highlight_words=False)))
    marked = _read_vtt(render_vtt(found, replace(shape, highlight_words=True)))
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
    found = _with(*[_segment(start / 1000, end / 1000, "word") for start, end in expected])

    assert [(start, end) for start, end, _ in _read_vtt(render_vtt(found))] == expected


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
    found = _with(_segment(100 * HOUR, 100 * HOUR + 1.5, "late"))

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
    found = _with(_segment(0, 1, text))

    assert render_vtt(found) == f"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{vtt}\n"
    assert render_srt(found) == f"1\n00:00:00,000 --> 00:00:01,000\n{srt}\n"


def test_a_recording_without_speech_has_files_without_cues():
    assert {suffix: render(_with(), PLAIN) for suffix, render in RENDERERS.items() if suffix != "json"} == {
        "txt": "",
        "srt": "",
        "vtt": "WEBVTT\n",
        "tsv": "start\tend\ttext\n",
    }


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Ask not what he said. But ask.", ["Ask not what he said.", "But ask."]),
        ('He said: "Go home!" And then nobody went.', ['He said: "Go home!"', "And then nobody went."]),
        ("When the rain had stopped, we all went out", ["When the rain had stopped,", "we all went out"]),
        ("one two three four five six seven eight", ["one two three four", "five six seven eight"]),
        ("今日は晴れです。明日は雨でしょう。", ["今日は晴れです。", "明日は雨でしょう。"]),
        ("彼は「はい」と言って、部屋を出ていった", ["彼は「はい」と言って、", "部屋を出ていった"]),
        ("هل أنت بخير؟ نعم، شكرا", ["هل أنت بخير؟", "نعم، شكرا"]),
        ("ខ" * 9 + "\u200b" + "ខ" * 12, ["ខ" * 9 + "\u200b", "ខ" * 12]),
        ("ကကကကက။ကကကကကကကက", ["ကကကကက။", "ကကကကကကကက"]),
    ],
)
def test_what_stays_too_long_is_split_at_a_sentence_or_a_clause(text: str, parts: list[str]):
    cues = _read_vtt(render_vtt(_with(_segment(10, 20, text))))

    assert [lines for _, _, lines in cues] == [[part] for part in parts]
    assert (cues[0][0], cues[-1][1]) == (10_000, 20_000)


@pytest.mark.parametrize(
    ("language", "head", "tail", "ends"),
    [
        ("en", "It is Mr.", "Holmes who came to the house", False),
        ("en", "It is St.", "Pancras where the train stops", False),
        ("en", "(Dr.", "Watson came)", False),
        ("en", "So John F.", "Kennedy gave an answer to it all", False),
        ("en", "The old U.S.", "Army was not at all like what we saw", False),
        ("en", "This is No.", "5 of all the rooms in the house", False),
        ("en", "Fruit, e.g.", "apples, was what they needed most", False),
        ("en", "He said no.", "Nobody else had said anything", True),
        ("en", "At 5 p.m.", "Nobody was there any more", True),
        ("en", "So did I.", "The others went home again", True),
        ("en", "They won 3.", "October was a good month for them", True),
        ("en", "This is Nr.", "Holmes who came to the house", True),
        ("de", "Es war der 3.", "Oktober als Frau Meier angekommen ist", False),
        ("de", "Da kam Fr.", "Meier mit allen ihren Kindern an", False),
        ("de", "Das war 1945.", "Danach war dann alles ganz anders", True),
        ("es", "Llegó el Sr.", "García solo a la casa de su madre", False),
        ("fr", "Alors M.", "Dupont nous a tout raconté", False),
        ("it", "Ecco il sig.", "Rossi che torna a casa da solo", False),
        ("pt", "Chegou o Sr.", "Silva sozinho a casa da sua mãe", False),
        ("ja", "It is Mr.", "Holmes who came to the house", True),
    ],
)
def test_a_full_stop_ends_a_sentence_unless_it_is_an_abbreviations(language: str, head: str, tail: str, ends: bool):
    """A sentence that ends at a third is where a cue is split; a word that ends there is not."""
    found = replace(_with(_segment(0, 10, f"{head} {tail}")), language=language)

    assert (_read_vtt(render_vtt(found))[0][2] == [head]) == ends


def test_a_translation_has_the_abbreviations_of_english():
    found = replace(_with(_segment(0, 10, "It is Mr. Holmes who came to the house")), language="ja", task="translate")

    assert _read_vtt(render_vtt(found))[0][2] != ["It is Mr."]


def test_without_word_times_a_cue_gets_the_share_of_its_text():
    (first, second) = _read_vtt(render_vtt(_with(_segment(0, 10, "abcd. efghi"))))

    assert first[:2] == (0, 4545)
    assert second[:2] == (4545, 10_000)


def test_word_times_say_when_a_cue_begins_and_ends():
    cues = _read_vtt(render_vtt(_spoken(30, 60, "One two. Three four five six seven eight.")))

    assert [(start, end) for start, end, _ in cues] == [(30_000, 32_000), (32_000, 38_000)]


def test_words_that_leave_out_punctuation_still_give_their_times():
    found = replace(_with(_segment(0, 4, "Well, no. Yes!")), words=tuple(
        Word(word, start, start + 0.5, 0.9) for word, start in (("Well", 1.0), ("no", 2.0), ("Yes", 3.0))
    ))  # fmt: skip

    assert _read_vtt(render_vtt(found))[0][:2] == (1000, 3500)


def test_words_that_are_not_those_of_the_text_are_not_believed():
    found = replace(_with(_segment(0, 4, "Well, no.")), words=(Word("something", 8.0, 9.0, 0.9), Word("else", 9.0, 9.5, 0.9)))

    assert _read_vtt(render_vtt(found, TranscriptionOptions(highlight_words=True, word_timestamps=True))) == [
        (0, 4000, ["Well, no."])
    ]


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("ask not what your country can do", 12, ["ask not what", "your country", "can do"]),
        ("会議は明日の午後に開かれます。", 10, ["会議は明日", "の午後に開", "かれます。"]),
        ("本当に良い「天気」です", 10, ["本当に良い", "「天気」で", "す"]),
        ("これはペンです。", 14, ["これはペンで", "す。"]),
        ("Donaudampfschiffahrt", 10, ["Donaudampf", "schiffahrt"]),
        ("e\u0301" * 12, 10, ["e\u0301" * 10, "e\u0301" * 2]),
        ("👩\u200d👧" * 6, 10, ["👩\u200d👧" * 5, "👩\u200d👧"]),
        ("שלום לכולם וברוכים", 11, ["שלום לכולם", "וברוכים"]),
        ("10\u00a0000 Euro", 10, ["10\u00a0000", "Euro"]),
        # Thai: the vowel before its consonant, the sign that repeats, and the vowel that takes a column of its own.
        ("ภาษาไทยเขียนติดกัน", 10, ["ภาษาไทยเขีย", "นติดกัน"]),
        ("กำกำกำกำกำกำ", 10, ["กำกำกำกำกำ", "กำ"]),
        ("กกกกกกกกกเก", 10, ["กกกกกกกกก", "เก"]),
        ("กกกกกกกกกกๆ", 10, ["กกกกกกกกก", "กๆ"]),
        # Lao, the same.
        ("ກກກກກກກກກເກ", 10, ["ກກກກກກກກກ", "ເກ"]),
        # Khmer: what stands below a consonant stays there, and takes no column.
        ("ខ្មែរ" * 4, 10, ["ខ្មែរ" * 3, "ខ្មែរ"]),
        ("ខខខខខខខខខខ្មែ", 10, ["ខខខខខខខខខ", "ខ្មែ"]),
        # Burmese: a consonant that ends a syllable begins no line.
        ("မြန်မာစကားပြောသည်", 10, ["မြန်မာစကား", "ပြောသည်"]),
        ("ကကကကကကကကကကန်", 10, ["ကကကကကကကကက", "ကန်"]),
    ],
)
def test_lines_end_where_the_script_allows_it(text: str, width: int, lines: list[str]):
    (cue,) = _read_srt(render_srt(_with(_segment(0, 1, text)), TranscriptionOptions(max_line_width=width)))

    assert cue[2] == lines


def test_more_lines_than_asked_for_become_more_cues():
    shape = TranscriptionOptions(max_line_width=12, max_line_count=2)
    cues = _read_srt(render_srt(_with(_segment(0, 6, "ask not what your country can do for you my friends")), shape))

    assert [lines for _, _, lines in cues] == [["ask not what", "your"], ["country can", "do"], ["for you my", "friends"]]


def test_each_word_is_highlighted_while_it_is_spoken():
    found = replace(_spoken(0, 3, "Ask & not"), words=(Word(" Ask", 0, 0.5, 1), Word(" &", 1, 1.5, 1), Word(" not", 1.5, 3, 1)))

    assert _read_vtt(render_vtt(found, TranscriptionOptions(highlight_words=True, word_timestamps=True))) == [
        (0, 500, ["[Ask] & not"]),
        (500, 1000, ["Ask & not"]),
        (1000, 1500, ["Ask [&] not"]),
        (1500, 3000, ["Ask & [not]"]),
    ]


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
        found.append(_segment(first / 1000, clock / 1000, "".join(f" {word}" for word, _, _ in timed)))
    return replace(_with(*found), words=tuple(heard))


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
        assert RENDERERS[suffix](found, PLAIN) == _openai(found, suffix, with_words=False)
    assert render_srt(silent).rstrip() == _openai(found, "srt", with_words=False).rstrip()
    assert _as_openai_clock(render_vtt(silent)).rstrip() == _openai(found, "vtt", with_words=False).rstrip()


@given(orderly(), st.none() | st.integers(10, 40), st.booleans())
def test_openai_whispers_own_writers_agree_on_words_lines_and_highlights(found: Transcript, width: int | None, highlight: bool):
    shape = TranscriptionOptions(max_line_width=width, highlight_words=highlight, word_timestamps=True)
    theirs = _openai(found, "vtt", with_words=True, max_line_width=width, highlight_words=highlight)
    # Where a line ends, they leave the mark to the next word; and who speaks without a pause needs no view without a mark.
    assert _as_openai_clock(render_vtt(found, shape)).rstrip() == theirs.rstrip()
