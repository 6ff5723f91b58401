"""When each word was spoken: the cross-attention of a few heads follows the sound, and dynamic time warping follows them.

Source: openai-whisper timing.py (find_alignment, merge_punctuations).
"""

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from whisper_serving.log_mel import FRAMES_PER_SECOND
from whisper_serving.long_form import HeardSegment, TextTokens
from whisper_serving.token_rules import SECONDS_PER_TIMESTAMP, Vocabulary
from whisperstack_contract.transcript import Segment, Word

_MEDIAN_WIDTH: Final = 7
_FRAMES_PER_POSITION: Final = 2  # of the encoder's output
# Written without spaces, so that a word is a character. Source: openai-whisper tokenizer.py, split_to_word_tokens.
_WITHOUT_SPACES: Final = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
_BEFORE_A_WORD: Final = "\"'“¿([{-"
_AFTER_A_WORD: Final = "\"'.。,，!！?？:：”)]}、"  # full-width on purpose


@dataclass(frozen=True)
class _Timed:
    text: str
    n_tokens: int
    start: float
    end: float
    probability: float


Attend = Callable[[Sequence[int], tuple[int, int]], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class Aligner:
    """attend: of tokens and a window, (logits [n, n_vocab], attention before softmax [heads, n, positions]), on the CPU.

    Both are float32. start: the start-of-transcript sequence.
    """

    attend: Attend
    start: Sequence[int]
    vocabulary: Vocabulary
    recogniser: TextTokens
    language: str

    def words_of(self, heard: Sequence[HeardSegment]) -> list[Word]:
        """The words of all segments; each within its window."""
        end_of_text = self.vocabulary.end_of_text
        words: list[Word] = []
        for (first_frame, n_frames), group in groupby(heard, key=lambda found: found.window):
            tokens = [token for found in group for token in found.tokens if token < end_of_text]
            timed = _align(tokens, (first_frame, n_frames), self)
            offset = first_frame / FRAMES_PER_SECOND
            words += [
                Word(word.text, offset + word.start, offset + word.end, word.probability) for word in _merge_punctuation(timed)
            ]
        return words


def _align(tokens: Sequence[int], window: tuple[int, int], aligner: Aligner) -> list[_Timed]:
    vocabulary, start, n_frames = aligner.vocabulary, len(aligner.start), window[1]
    whole = [*aligner.start, vocabulary.no_timestamps, *tokens, vocabulary.end_of_text]
    logits, attention = aligner.attend(whole, window)
    attention = attention[:, :, : n_frames // _FRAMES_PER_POSITION].softmax(-1)
    deviation, mean = torch.std_mean(attention, dim=-2, keepdim=True, unbiased=False)
    smooth = _median((attention - mean) / deviation)
    # Between the last mark before the text and the end of text: one row for each token, and one for what follows the last.
    rows = smooth.mean(0)[start:-1].numpy()
    token_index, position = _warp(-rows.astype(np.float64))
    jumps = np.diff(token_index, prepend=-1) > 0
    times = position[jumps] * SECONDS_PER_TIMESTAMP
    probabilities = logits[start : start + len(tokens), : vocabulary.end_of_text].softmax(-1)
    spoken = probabilities[torch.arange(len(tokens)), torch.tensor(tokens)].tolist()
    timed, index = [], 0
    for text, count in _split_words(tokens, aligner.recogniser, aligner.language):
        probability = float(np.mean(spoken[index : index + count]))
        timed.append(_Timed(text, count, float(times[index]), float(times[index + count]), probability))
        index += count
    return timed


def _median(values: torch.Tensor) -> torch.Tensor:
    """Median of seven along the last axis, mirrored at its ends; shorter rows stay as they are."""
    half = _MEDIAN_WIDTH // 2
    if values.shape[-1] <= half:
        return values
    padded = torch.nn.functional.pad(values, (half, half), mode="reflect")
    return padded.unfold(-1, _MEDIAN_WIDTH, 1).median(-1).values


def _warp(cost: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The cheapest monotone path through [n, m]: its rows and its columns. NumPy does the work, a diagonal at a time."""
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    step = np.zeros((n + 1, m + 1), dtype=np.int8)
    for diagonal in range(2, n + m + 1):
        row = np.arange(max(1, diagonal - m), min(n, diagonal - 1) + 1)
        column = diagonal - row
        choices = np.stack([total[row - 1, column - 1], total[row - 1, column], total[row, column - 1]])
        best = choices.argmin(0)
        total[row, column] = cost[row - 1, column - 1] + choices[best, np.arange(len(row))]
        step[row, column] = best
    path, row_index, column_index = [], n, m
    while row_index > 0 or column_index > 0:
        path.append((row_index - 1, column_index - 1))
        choice = 2 if row_index == 0 else 1 if column_index == 0 else step[row_index, column_index]
        row_index -= choice in (0, 1)
        column_index -= choice in (0, 2)
    rows, columns = zip(*((max(row, 0), max(column, 0)) for row, column in reversed(path)), strict=True)
    return np.array(rows), np.array(columns)


def _split_words(tokens: Sequence[int], recogniser: TextTokens, language: str) -> list[tuple[str, int]]:
    """[(text, number of tokens)] of each word, with the space before it."""
    pieces = _split_characters(tokens, recogniser)
    if language in _WITHOUT_SPACES:
        return pieces
    words: list[tuple[str, int]] = []
    for text, count in pieces:
        if words and not text.startswith(" ") and text.strip() not in string.punctuation:
            words[-1] = (words[-1][0] + text, words[-1][1] + count)
        else:
            words.append((text, count))
    return words


def _split_characters(tokens: Sequence[int], recogniser: TextTokens) -> list[tuple[str, int]]:
    """Pieces of as few tokens as make whole characters."""
    whole = recogniser.text_of(tokens)
    pieces: list[tuple[str, int]] = []
    pending: list[int] = []
    length = 0
    for token in tokens:
        pending.append(token)
        text = recogniser.text_of(pending)
        broken = text.find("\ufffd")
        # A replacement character may also be what the text really holds.
        if broken < 0 or whole[length + broken : length + broken + 1] == "\ufffd":
            pieces.append((text, len(pending)))
            length += len(text)
            pending = []
    if pending:
        pieces.append((recogniser.text_of(pending), len(pending)))
    return pieces


def _merge_punctuation(words: Sequence[_Timed]) -> list[_Timed]:
    """Opening marks join the word after them, closing marks the word before."""
    merged: list[_Timed] = []
    opening: _Timed | None = None
    for word in words:
        if word.text.strip() and word.text.strip() in _BEFORE_A_WORD and word.text.startswith(" "):
            opening = word if opening is None else _joined(opening, word, end=word.end)
            continue
        if opening is not None:
            word, opening = _joined(opening, word, end=word.end, start=word.start), None
        if merged and word.text and word.text in _AFTER_A_WORD and not merged[-1].text.endswith(" "):
            merged[-1] = _joined(merged[-1], word, end=merged[-1].end)
        else:
            merged.append(word)
    return [*merged, opening] if opening is not None else merged


def _joined(left: _Timed, right: _Timed, *, end: float, start: float | None = None) -> _Timed:
    probability = min(left.probability, right.probability)
    return _Timed(
        left.text + right.text, left.n_tokens + right.n_tokens, left.start if start is None else start, end, probability
    )


def in_order(words: Sequence[Word], segments: Sequence[Segment]) -> list[Word]:
    """No word starts before the one before it ended, ends before it starts, or lies outside of what was heard."""
    earliest, latest = (segments[0].start, segments[-1].end) if segments else (0.0, 0.0)
    ordered = []
    for word in words:
        start = min(max(word.start, earliest), latest)
        end = min(max(word.end, start), latest)
        ordered.append(Word(word.word, round(start, 3), round(end, 3), word.probability))
        earliest = end
    return ordered
