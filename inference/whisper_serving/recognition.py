"""What an engine heard, and what holds for it whichever engine it was."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from whisperstack_contract.transcript import Segment, Word

_DECIMALS = 3  # the resolution of subtitles is a millisecond


@dataclass(frozen=True)
class Recognition:
    """words: of each segment; None where not asked for. language_probability: None where nothing was detected."""

    language: str
    segments: Sequence[Segment]
    words: Sequence[Sequence[Word]] | None = None
    language_probability: float | None = None


def with_text_only(recognition: Recognition) -> Recognition:
    """Without segments that hold neither a letter nor a digit: into hiss the model writes rows of full stops."""
    kept = [index for index, segment in enumerate(recognition.segments) if any(map(str.isalnum, segment.text))]
    segments = [replace(recognition.segments[index], id=number) for number, index in enumerate(kept)]
    words = None if recognition.words is None else [recognition.words[index] for index in kept]
    return replace(recognition, segments=segments, words=words)


def in_order(recognition: Recognition, seconds: float) -> Recognition:
    """All times in order and within the recording, however many seconds of padding the model heard behind it.

    A segment begins with its first word and ends with its last one.
    """
    segments: list[Segment] = []
    words: list[list[Word]] = []
    earliest = 0.0
    for index, segment in enumerate(recognition.segments):
        spoken: list[Word] = []
        for word in recognition.words[index] if recognition.words is not None else ():
            start = _within(word.start, earliest, seconds)
            earliest = _within(word.end, start, seconds)
            spoken.append(replace(word, start=start, end=earliest))
        start = spoken[0].start if spoken else _within(segment.start, earliest, seconds)
        end = spoken[-1].end if spoken else _within(segment.end, start, seconds)
        earliest = max(earliest, start)
        segments.append(replace(segment, start=start, end=end))
        words.append(spoken)
    apart = [replace(segment, end=min(segment.end, following.start)) for segment, following in pairwise(segments)]
    return replace(recognition, segments=[*apart, *segments[-1:]], words=None if recognition.words is None else words)


def _within(seconds: float, earliest: float, latest: float) -> float:
    return min(max(round(seconds, _DECIMALS), earliest), latest)
