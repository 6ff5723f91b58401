"""Which token may come next: never a suppressed one, and timestamps in pairs that do not run backwards.

Source: openai-whisper decoding.py (SuppressBlank, SuppressTokens, ApplyTimestampRules).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

SECONDS_PER_TIMESTAMP: Final = 0.02  # source: openai-whisper tokenizer.py, 30 s in 1,500 steps


@dataclass(frozen=True)
class Vocabulary:
    """Numbers of the tokens with a meaning of their own. languages: code → token, empty for an English-only model.

    suppressed: never said. suppressed_at_start: not said first. latest_start: the last timestamp that may come first.
    """

    end_of_text: int
    start_of_transcript: int
    start_of_previous: int
    no_speech: int
    no_timestamps: int
    first_timestamp: int
    transcribe: int
    translate: int
    languages: dict[str, int]
    suppressed: Sequence[int]
    suppressed_at_start: Sequence[int]
    latest_start: int = 50


class TokenRules:
    """Sets what must not come next to -inf, in float32 logits [n, n_vocab]."""

    def __init__(self, vocabulary: Vocabulary, device: torch.device) -> None:
        self._vocabulary = vocabulary
        self._suppressed = torch.tensor([*vocabulary.suppressed, vocabulary.no_timestamps], device=device)
        # Typed, since an own model may suppress nothing there.
        self._at_start = torch.tensor(list(vocabulary.suppressed_at_start), dtype=torch.long, device=device)

    def apply(self, logits: torch.Tensor, said: Sequence[Sequence[int]]) -> None:
        """said: what each row has said so far in this window."""
        first = self._vocabulary.first_timestamp
        logits[:, self._suppressed] = -torch.inf
        if not said[0]:
            logits[:, self._at_start] = -torch.inf
            # The first of all is a timestamp, of the window's first second.
            logits[:, :first] = -torch.inf
            logits[:, first + self._vocabulary.latest_start + 1 :] = -torch.inf
        for row, tokens in enumerate(said):
            self._apply_pairs(logits[row], tokens)
        # Where all timestamps together are likelier than any one word, it is time for a timestamp.
        due = logits[:, first:].logsumexp(-1) > logits[:, :first].max(-1).values
        logits[due, :first] = -torch.inf

    def _apply_pairs(self, logits: torch.Tensor, tokens: Sequence[int]) -> None:
        first, end = self._vocabulary.first_timestamp, self._vocabulary.end_of_text
        last_is = len(tokens) >= 1 and tokens[-1] >= first
        before_is = len(tokens) < 2 or tokens[-2] >= first
        if last_is and before_is:
            logits[first:] = -torch.inf
        elif last_is:
            logits[:end] = -torch.inf
        stamps = [token for token in tokens if token >= first]
        if stamps:
            # A segment has a length: only its start may repeat the end of the one before.
            earliest = stamps[-1] if last_is and not before_is else stamps[-1] + 1
            logits[first:earliest] = -torch.inf
