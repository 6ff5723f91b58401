"""Which of two clocks to believe at a segment's bounds: its own timestamps, or those of its first and last word.

Source: openai-whisper timing.py, add_word_timestamps. The alignment stretches words into the pauses beside them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from whisper_serving.long_form import HeardSegment
from whisperstack_contract.transcript import Segment, Word

LONGEST_TIMES_USUAL: Final = 2.0
_LONGEST_USUAL_SECONDS: Final = 0.7
_PAUSE_TIMES_USUAL: Final = 4.0
# A word that begins so much before its segment, or ends so much after it, is not believed.
_TOLERANCE_SECONDS: Final = 0.5


@dataclass(frozen=True)
class SpokenSegment:
    """A segment and its words, in seconds from the recording's start. usual: what a word takes, in its window."""

    heard: HeardSegment
    words: Sequence[Word]
    usual: float


def usual_seconds(durations: Sequence[float]) -> float:
    return min(_LONGEST_USUAL_SECONDS, median([seconds for seconds in durations if seconds > 0] or [0.0]))


def bounded_words(spoken: Sequence[SpokenSegment]) -> Iterator[list[Word]]:
    """The words of each segment, in the recording's order."""
    last_spoken = 0.0
    for found in spoken:
        words = list(found.words)
        if words:
            _shorten_after_pause(words, last_spoken, found.usual)
            _prefer_timestamps(words, found.heard.segment, found.usual)
            last_spoken = words[-1].end
        yield words


def _shorten_after_pause(words: list[Word], last_spoken: float, usual: float) -> None:
    longest = LONGEST_TIMES_USUAL * usual
    first, second = words[0], words[1] if len(words) > 1 else None
    stretched = first.end - first.start > longest or (second is not None and second.end - first.start > 2 * longest)
    if first.end - last_spoken <= _PAUSE_TIMES_USUAL * usual or not stretched:
        return
    if second is not None and second.end - second.start > longest:
        border = second.end - longest
        words[1] = replace(second, start=border)
        first = replace(first, end=border)
    words[0] = replace(first, start=max(first.start, first.end - longest))


def _prefer_timestamps(words: list[Word], segment: Segment, usual: float) -> None:
    first = words[0]
    if first.start + _TOLERANCE_SECONDS < segment.start < first.end:
        words[0] = replace(first, start=min(first.end - usual, segment.start))
    last = words[-1]
    if last.start < segment.end < last.end - _TOLERANCE_SECONDS:
        words[-1] = replace(last, end=max(last.start + usual, segment.end))
