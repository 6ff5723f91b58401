"""A segment's text, character by character, with the time at which each is spoken.

The times come from the words where the model has given them, and otherwise from where in the segment a character stands.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from whisperstack_contract.abbreviations import LOOKED_BACK_CHARS
from whisperstack_contract.options import Task
from whisperstack_contract.text_layout import Break, break_between, clusters, columns
from whisperstack_contract.transcript import Segment, Transcript, Word

# Punctuation that a word may leave out.
_MOST_SKIPPED_CHARS: Final = 3
# How far a word may begin before its segment and still belong to it.
_EARLY_SECONDS: Final = 1.0
# With fewer characters in words, their times say little of the others.
_LEAST_SHARE_IN_WORDS: Final = 0.5
_ENGLISH: Final = "en"


@dataclass(frozen=True, slots=True)
class Character:
    """A character with its marks. gap: white space before it. start, end: milliseconds.

    word: number of the word that it is in; None where the words' times are not known.
    """

    text: str
    gap: str
    columns: int
    gap_columns: int
    break_before: Break
    start: int
    end: int
    word: int | None


def spoken_segments(transcript: Transcript) -> Iterator[list[Character]]:
    """Each segment that has text to see."""
    words = _WordReader(transcript.words or ())
    language = _ENGLISH if transcript.task == Task.TRANSLATE else transcript.language
    for segment in transcript.segments:
        characters = _characters(segment, words, language)
        if any(character.columns for character in characters):
            yield characters


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a word a character stands. start, end: milliseconds."""

    word: int
    start: int
    end: int


class _WordReader:
    """Deals out the words of a transcript to its segments, in order."""

    def __init__(self, words: Sequence[Word]) -> None:
        self._words = words
        self._next = 0

    def places(self, segment: Segment, texts: Sequence[str]) -> list[_Place | None]:
        """For each of the segment's characters (`texts`, without white space), its place in a word."""
        found: list[_Place | None] = [None] * len(texts)
        if not self._words:
            return found
        whole = "".join(texts)
        index_at = {offset: index for index, offset in enumerate(_offsets(texts))}
        while self._next < len(self._words) and self._words[self._next].end < segment.start - _EARLY_SECONDS:
            self._next += 1
        position = 0
        while self._next < len(self._words):
            word = self._words[self._next]
            spoken = "".join(text for _, text in clusters(word.word))
            at = whole.find(spoken, position, position + _MOST_SKIPPED_CHARS + len(spoken))
            if at < 0:
                break
            begin, end = milliseconds(word.start), milliseconds(word.end)
            for offset in range(at, at + len(spoken)):
                if (index := index_at.get(offset)) is not None:
                    last = offset + len(texts[index]) - at
                    span = (_between(begin, end, offset - at, len(spoken)), _between(begin, end, last, len(spoken)))
                    found[index] = _Place(self._next, *span)
            position = at + len(spoken)
            self._next += 1
        return found


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _characters(segment: Segment, words: _WordReader, language: str) -> list[Character]:
    found = list(clusters(segment.text))
    texts = [text for _, text in found]
    places = words.places(segment, texts)
    times = _times_by_words(places) or _times_by_position(segment, found)
    characters, before = [], ""
    for (gap, text), (start, end), place in zip(found, times, places, strict=True):
        gap_columns = columns(gap) if gap and before else 0
        kind = break_between(before, gap, text, language)
        characters.append(Character(text, gap, columns(text), gap_columns, kind, start, end, place.word if place else None))
        before = (before + gap + text)[-LOOKED_BACK_CHARS:]
    return characters


def _times_by_words(places: Sequence[_Place | None]) -> list[tuple[int, int]] | None:
    """None where too few characters are in words. One outside of them is spoken where the word before it ends."""
    known = [place for place in places if place]
    if not known or len(known) < _LEAST_SHARE_IN_WORDS * len(places):
        return None
    times, last = [], known[0].start
    for place in places:
        times.append((place.start, place.end) if place else (last, last))
        last = times[-1][1]
    return times


def _times_by_position(segment: Segment, found: Sequence[tuple[str, str]]) -> list[tuple[int, int]]:
    start, end = milliseconds(segment.start), milliseconds(segment.end)
    widths = [len(gap) + max(1, columns(text)) for gap, text in found]
    whole, position, times = sum(widths), 0, []
    for width in widths:
        times.append((_between(start, end, position, whole), _between(start, end, position + width, whole)))
        position += width
    return times


def _between(start: int, end: int, part: int, whole: int) -> int:
    return start + (end - start) * part // whole


def _offsets(texts: Sequence[str]) -> Iterator[int]:
    offset = 0
    for text in texts:
        yield offset
        offset += len(text)
