"""Times of segments and words, whatever an engine says of them."""

from hypothesis import given
from hypothesis import strategies as st

from whisper_serving.recognition import Recognition, in_order, with_text_only
from whisperstack_contract.transcript import Segment, Word

SECONDS = 30.0
TIMES = st.floats(-5, 60)
SEGMENTS = st.builds(
    lambda start, end, text: Segment(0, start, end, text, -0.5, 1.0, 0.1, 0.0),
    TIMES,
    TIMES,
    st.sampled_from([" a.", " b", " ..."]),
)
WORDS = st.lists(st.builds(Word, st.just(" a"), TIMES, TIMES, st.just(0.5)), max_size=4)


@given(st.lists(st.tuples(SEGMENTS, WORDS), max_size=6), st.booleans())
def test_times_are_in_order_and_words_lie_within_their_segments(found: list[tuple[Segment, list[Word]]], timed: bool) -> None:
    heard = Recognition("en", [segment for segment, _ in found], [words for _, words in found] if timed else None)
    placed = in_order(heard, SECONDS)
    assert [segment.text for segment in placed.segments] == [segment.text for segment in heard.segments]
    times = [time for segment in placed.segments for time in (segment.start, segment.end)]
    assert times == sorted(times)
    assert all(0 <= time <= SECONDS for time in times)
    assert (placed.words is not None) == timed
    for segment, words in zip(placed.segments, placed.words or (), strict=False):
        spoken = [time for word in words for time in (word.start, word.end)]
        assert spoken == sorted(spoken)
        if words:
            assert (segment.start, segment.end) == (spoken[0], spoken[-1])


def test_times_that_are_in_order_stay_as_they_are() -> None:
    words = [[Word(" a", 0.5, 1.0, 0.9), Word(" b", 1.0, 2.0, 0.9)], [Word(" c", 2.5, 3.0, 0.9)]]
    segments = [Segment(0, 0.5, 2.0, " a b", -0.5, 1.0, 0.1, 0.0), Segment(1, 2.5, 3.0, " c", -0.5, 1.0, 0.1, 0.0)]
    heard = Recognition("en", segments, words)
    assert in_order(heard, SECONDS) == heard


def test_a_segment_that_ends_in_padding_ends_where_the_next_one_begins() -> None:
    segments = [Segment(0, 0.0, 29.0, " a", -0.5, 1.0, 0.1, 0.0), Segment(1, 12.0, 31.0, " b", -0.5, 1.0, 0.1, 0.0)]
    placed = in_order(Recognition("en", segments), SECONDS)
    assert [(segment.start, segment.end) for segment in placed.segments] == [(0.0, 12.0), (12.0, 30.0)]


def test_segments_without_text_go_with_their_words() -> None:
    segments = [Segment(number, 1.0, 2.0, text, -0.5, 1.0, 0.1, 0.0) for number, text in enumerate([" ...", " b"])]
    words = [[Word(" ...", 1.0, 2.0, 0.9)], [Word(" b", 1.0, 2.0, 0.9)]]
    kept = with_text_only(Recognition("en", segments, words))
    assert [(segment.id, segment.text) for segment in kept.segments] == [(0, " b")]
    assert kept.words == [words[1]]
