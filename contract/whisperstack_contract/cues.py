"""Subtitles as cues: what stands on the screen from when to when.

A segment becomes one cue where it fits; otherwise it is split near its middle, at the end of a sentence or a clause if there is
one. A cue has a length, stays at most seven seconds, and never overlaps the one before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.spoken_text import Character, spoken_segments
from whisperstack_contract.text_layout import Break
from whisperstack_contract.transcript import Transcript

# Source: BBC subtitle guidelines and the Netflix timed text style guide, 7 s at most.
LONGEST_CUE_MS: Final = 7_000
# A cue of no length is invalid in WebVTT, and players skip it; one millisecond is the formats' resolution.
SHORTEST_CUE_MS: Final = 1

# What a break costs, beside its distance from the best place as a share of the whole: a sentence that ends within a third of
# the length is better than a word that ends just there.
_COST: Final = {Break.SENTENCE: 0.0, Break.CLAUSE: 0.1, Break.WORD: 0.3, Break.CHARACTER: 0.35, Break.INSIDE: 0.5}
# Whoever stops for so long has come to an end of some kind. openai-whisper's writers break at three seconds.
_PAUSE_MS: Final = 1_000

Line = Sequence[Character]


@dataclass(frozen=True)
class Cue:
    """start, end: milliseconds."""

    start: int
    end: int
    lines: Sequence[Line]


def cues(transcript: Transcript, options: TranscriptionOptions) -> list[Cue]:
    """In order, without overlap, none empty, of no length or too long, none wider or taller than the options allow."""
    found: list[Cue] = []
    earliest = 0
    for characters in spoken_segments(transcript):
        for part in _split(characters, options):
            start = max(earliest, part[0].start)
            end = max(start + SHORTEST_CUE_MS, min(part[-1].end, start + LONGEST_CUE_MS))
            found.append(Cue(start, end, _lines(part, options.max_line_width)))
            earliest = end
    return found


def _split(characters: Line, options: TranscriptionOptions) -> list[Line]:
    """Parts that fit; longer in time only where there is no place to split at."""
    done: list[Line] = []
    waiting = [characters]
    while waiting:
        part = waiting.pop()
        place = _best_break(part, options)
        if place is None:
            done.append(part)
        else:
            waiting += [part[place:], part[:place]]
    return done


def _best_break(part: Line, options: TranscriptionOptions) -> int | None:
    """Where to split; None where the part fits, or cannot be split."""
    duration = part[-1].end - part[0].start
    by_time = -(-duration // LONGEST_CUE_MS)
    by_lines = 1
    if options.max_line_count is not None:
        by_lines = -(-len(_lines(part, options.max_line_width)) // options.max_line_count)
    pieces = max(by_time, by_lines)
    if pieces <= 1:
        return None
    places = [place for place in range(1, len(part)) if part[place].break_before > Break.INSIDE]
    if not places and by_lines > 1:
        places = list(range(1, len(part)))
    if not places:
        return None
    # An odd number of pieces is not split in the middle, so that all become about equally long.
    target = (pieces // 2) / pieces
    shares = _shares_of_time(part, duration) if by_time > 1 else _shares_of_columns(part)
    return min(places, key=lambda place: _cost(part, place) + abs(shares[place] - target))


def _cost(part: Line, place: int) -> float:
    return 0.0 if part[place].start - part[place - 1].end >= _PAUSE_MS else _COST[part[place].break_before]


def _shares_of_time(part: Line, duration: int) -> list[float]:
    return [(character.start - part[0].start) / duration for character in part]


def _shares_of_columns(part: Line) -> list[float]:
    positions, position = [], 0
    for character in part:
        positions.append(position + character.gap_columns)
        position += character.gap_columns + character.columns
    return [each / max(1, position) for each in positions]


def _lines(part: Line, width: int | None) -> list[Line]:
    """Lines filled one after another; a word that is wider than a line is cut."""
    if width is None:
        return [part]
    lines: list[Line] = []
    begin, place, used = 0, 0, 0
    for index, character in enumerate(part):
        if index > begin and character.break_before > Break.INSIDE:
            place = index
        added = character.columns + (character.gap_columns if index > begin else 0)
        if used + added > width and index > begin:
            end = place if place > begin else index
            lines.append(part[begin:end])
            begin = end
            used = sum(each.columns for each in part[begin:index]) + sum(each.gap_columns for each in part[begin + 1 : index])
            added = character.columns + (character.gap_columns if index > begin else 0)
        used += added
    return [*lines, part[begin:]]
