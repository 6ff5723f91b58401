"""Where subtitles cut a text: at the end of a sentence or a clause, where its script allows, and never inside a character."""

import unicodedata
from dataclasses import replace

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.subtitle_files import a_segment, read_srt, read_vtt, shapes, transcript_of, transcripts
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.subtitles import render_srt, render_vtt
from whisperstack_contract.transcript import Transcript


@given(transcripts, shapes)
def test_no_character_is_parted_from_its_marks(found: Transcript, shape: TranscriptionOptions):
    for _, _, lines in read_srt(render_srt(found, shape)):
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
    cues = read_srt(render_srt(transcript_of(a_segment(0, 5, text)), TranscriptionOptions(max_line_width=width)))
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
    cues = read_vtt(render_vtt(transcript_of(a_segment(10, 20, text))))

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
    found = replace(transcript_of(a_segment(0, 10, f"{head} {tail}")), language=language)

    assert (read_vtt(render_vtt(found))[0][2] == [head]) == ends


def test_a_translation_has_the_abbreviations_of_english():
    found = replace(transcript_of(a_segment(0, 10, "It is Mr. Holmes who came to the house")), language="ja", task="translate")

    assert read_vtt(render_vtt(found))[0][2] != ["It is Mr."]


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
    (cue,) = read_srt(render_srt(transcript_of(a_segment(0, 1, text)), TranscriptionOptions(max_line_width=width)))

    assert cue[2] == lines


def test_more_lines_than_asked_for_become_more_cues():
    shape = TranscriptionOptions(max_line_width=12, max_line_count=2)
    cues = read_srt(render_srt(transcript_of(a_segment(0, 6, "ask not what your country can do for you my friends")), shape))

    assert [lines for _, _, lines in cues] == [["ask not what", "your"], ["country can", "do"], ["for you my", "friends"]]
