"""When each word was spoken: the cross-attention of a few heads follows the sound, and dynamic time warping follows them.

Source: openai-whisper timing.py (find_alignment, merge_punctuations).
"""

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, pairwise
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from whisper_serving.log_mel import FRAMES_PER_SECOND
from whisper_serving.long_form import HeardSegment, TextTokens
from whisper_serving.token_rules import SECONDS_PER_TIMESTAMP, Vocabulary
from whisper_serving.word_bounds import LONGEST_TIMES_USUAL, SpokenSegment, usual_seconds
from whisperstack_contract.transcript import Word

_MEDIAN_WIDTH: Final = 7
_FRAMES_PER_POSITION: Final = 2  # of the encoder's output
# Written without spaces, so that a word is a character. Source: openai-whisper tokenizer.py, split_to_word_tokens.
_WITHOUT_SPACES: Final = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
_BEFORE_A_WORD: Final = "\"'“¿([{-"
_AFTER_A_WORD: Final = "\"'.。,，!！?？:：”)]}、"  # full-width on purpose
_SENTENCE_ENDS: Final = ".。!！?？"


@dataclass(frozen=True)
class _Timed:
    """position: of the word's first token among its window's."""

    text: str
    position: int
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

    def words_of(self, heard: Sequence[HeardSegment]) -> list[SpokenSegment]:
        """Each segment with its words, which lie within its window."""
        spoken = []
        for window, group in groupby(heard, key=lambda found: found.window):
            segments = list(group)
            tokens = [[token for token in found.tokens if token < self.vocabulary.end_of_text] for found in segments]
            timed = _align([token for some in tokens for token in some], window, self)
            usual = usual_seconds([word.end - word.start for word in timed])
            words = _merge_punctuation(_shortened(timed, usual))
            ends = accumulate(map(len, tokens))
            for found, end in zip(segments, ends, strict=True):
                own, words = [word for word in words if word.position < end], [word for word in words if word.position >= end]
                spoken.append(SpokenSegment(found, [_placed(word, window) for word in own], usual))
        return spoken


def _placed(word: _Timed, window: tuple[int, int]) -> Word:
    offset = window[0] / FRAMES_PER_SECOND
    return Word(word.text, offset + word.start, offset + word.end, word.probability)


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
        timed.append(_Timed(text, index, float(times[index]), float(times[index + count]), probability))
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


def _shortened(words: Sequence[_Timed], usual: float) -> list[_Timed]:
    """Where a sentence ends, a pause is heard as part of the mark, or of the word after it. Source: add_word_timestamps."""
    longest = LONGEST_TIMES_USUAL * usual
    shortened = list(words[:1])
    for before, word in pairwise(words):
        too_long = word.end - word.start > longest > 0
        if too_long and word.text in _SENTENCE_ENDS:
            word = replace(word, end=word.start + longest)
        elif too_long and before.text in _SENTENCE_ENDS:
            word = replace(word, start=word.end - longest)
        shortened.append(word)
    return shortened


def _merge_punctuation(words: Sequence[_Timed]) -> list[_Timed]:
    """Opening marks join the word after them, closing marks the word before."""
    merged: list[_Timed] = []
    opening: _Timed | None = None
    for word in words:
        if word.text.strip() and word.text.strip() in _BEFORE_A_WORD and word.text.startswith(" "):
            opening = word if opening is None else _joined(opening, word, within=opening)
            continue
        if opening is not None:
            word, opening = _joined(opening, word, within=word), None
        if merged and word.text and word.text in _AFTER_A_WORD and not merged[-1].text.endswith(" "):
            merged[-1] = _joined(merged[-1], word, within=merged[-1])
        else:
            merged.append(word)
    return [*merged, opening] if opening is not None else merged


def _joined(left: _Timed, right: _Timed, *, within: _Timed) -> _Timed:
    """Both texts, at the time and the place of one of them."""
    return replace(within, text=left.text + right.text, probability=min(left.probability, right.probability))
