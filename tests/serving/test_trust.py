"""What a text is suspected of is told with the stretch that it concerns."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whisper_serving.recognition import Recognition
from whisper_serving.speech import Span
from whisper_serving.trust import doubts
from whisperstack_contract.transcript import Segment
from whisperstack_contract.warning_codes import WARNINGS

GOOD = Segment(0, 0.0, 4.0, " Ask not what your country can do for you.", -0.2, 1.2, 0.05, 0.0)
ALL = (Span(0, 1000),)


def warnings(
    *segments: Segment, speech: tuple[Span, ...] = ALL, probability: float | None = None, loud: tuple[Span, ...] = ()
) -> list[tuple[object, ...]]:
    numbered = [dataclasses.replace(segment, id=number) for number, segment in enumerate(segments)]
    found = doubts(Recognition("en", numbered, None, probability), speech, loud)
    return [(warning.code, warning.message, warning.start, warning.end) for warning in found]


def good(start: float, **changes: object) -> Segment:
    return dataclasses.replace(
        GOOD, **{"start": start, "end": start + 4, "text": f" Sentence {start:g}, with six words."} | changes
    )


def test_a_good_text_has_no_warnings() -> None:
    assert warnings(good(0), good(4), good(9), probability=0.5) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"compression_ratio": 2.5}, "the text repeats itself"),
        ({"no_speech_prob": 0.7, "avg_logprob": -0.6}, "the model took it for silence"),
        ({"end": 10.5, "text": " one two three four five"}, "there are more words than anybody says in that time"),
        ({"end": 40.0, "text": " you"}, "there is hardly a word in all that time"),
        ({"end": 11.0, "text": " 我们今天在这里讨论这个非常重要的问题和解决办法"}, "there are more words than anybody"),
    ],
)
def test_an_unlikely_segment_is_suspected_of_invention(changes: dict[str, object], reason: str) -> None:
    ((code, message, start, end),) = warnings(good(0), good(10, **changes), good(50))
    assert (code, start) == ("suspected_hallucination", 10.0)
    assert end == changes.get("end", 14.0)
    assert reason in str(message)
    assert str(message).startswith("0:10.0 to ")


@pytest.mark.parametrize(
    "changes",
    [
        {"no_speech_prob": 0.9},
        {"end": 15.0, "text": " Yes."},
        {"end": 14.0, "text": " 我们今天在这里讨论这个重要的问题"},
        {"end": 10.3, "text": " I am here."},
    ],
)
def test_what_people_do_say_is_not_suspected(changes: dict[str, object]) -> None:
    assert warnings(good(0), good(10, **changes)) == []


def test_text_where_no_speech_was_heard_is_suspected() -> None:
    ((code, message, start, end),) = warnings(good(0), good(10), good(20), speech=(Span(0, 9.9), Span(19, 30)))
    assert (code, start, end) == ("suspected_hallucination", 10, 14)
    assert "no speech was heard there" in str(message)


def test_a_sentence_three_times_in_a_row_is_suspected_and_twice_is_not() -> None:
    thanks = [good(start, text=text) for start, text in ((10, " Thank you."), (14, " Thank you!"), (18, " thank you"))]
    assert warnings(good(0), *thanks[:2], good(22)) == []
    assert [(code, start, end) for code, _, start, end in warnings(good(0), *thanks, good(22))] == [
        ("suspected_hallucination", 10, 22)
    ]


def test_doubtful_neighbours_share_a_warning_and_others_do_not() -> None:
    unsure = {"avg_logprob": -1.2}
    found = warnings(good(0, **unsure), good(4, **unsure), good(8), good(12, **unsure))
    assert [(code, start, end) for code, _, start, end in found] == [("low_confidence", 0, 8), ("low_confidence", 12, 16)]


@pytest.mark.parametrize(("logprob", "codes"), [(-0.6, []), (-0.88, ["low_confidence"]), (-1.2, ["low_confidence"])])
def test_a_text_that_the_model_is_not_sure_of_is_marked(logprob: float, codes: list[str]) -> None:
    assert [code for code, *_ in warnings(good(0), good(10, avg_logprob=logprob))] == codes


def test_loud_sound_without_text_is_told_with_its_span() -> None:
    found = warnings(good(1), good(12), loud=(Span(0, 9), Span(10, 13.5), Span(17.9, 19.5)))
    assert [(code, start, end) for code, _, start, end in found] == [
        ("sound_without_text", 5, 9),
        ("sound_without_text", 10, 12),
    ]
    assert str(found[0][1]).startswith("0:05.0 to 0:09.0: there is no text")


def test_of_many_sounds_without_text_the_longest_have_a_span() -> None:
    loud = tuple(Span(20.0 * number, 20.0 * number + length) for number, length in enumerate((3, 9, 8, 2, 7, 6, 5)))
    found = warnings(good(200), loud=loud)
    assert [start for _, _, start, _ in found] == [20, 40, 80, 100, 120, None]
    assert "2 shorter stretches of sound without text, 5 s in all" in str(found[-1][1])


def test_an_uncertain_language_is_told() -> None:
    ((code, message, start, end),) = warnings(good(0), probability=0.31)
    assert (code, start, end) == ("uncertain_language", None, None)
    assert "taken for 'en' with a probability of 0.31" in str(message)


_SEGMENTS = st.builds(
    Segment,
    id=st.just(0),
    start=st.floats(0, 100),
    end=st.floats(0, 100),
    text=st.text(max_size=30),
    avg_logprob=st.floats(-3, 0),
    compression_ratio=st.floats(0, 5),
    no_speech_prob=st.floats(0, 1),
    temperature=st.just(0.0),
)


@given(st.lists(_SEGMENTS, max_size=8), st.sampled_from([(), ALL]))
def test_any_segments_are_judged_with_known_codes(segments: list[Segment], speech: tuple[Span, ...]) -> None:
    assert {code for code, *_ in warnings(*segments, speech=speech)} <= set(WARNINGS)
