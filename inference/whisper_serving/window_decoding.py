"""From one window of sound to tokens: greedily, by sampling, or with beams. Knows no framework's model, only its steps.

Source: openai-whisper decoding.py (DecodingTask, GreedyDecoder, BeamSearchDecoder, MaximumLikelihoodRanker).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import torch

from whisper_serving.token_rules import TokenRules, Vocabulary
from whisperstack_contract.options import TranscriptionOptions

CANDIDATES_WHEN_SAMPLING: Final = 5  # source: openai-whisper transcribe.py, the command line's best_of


class WindowSteps(Protocol):
    """One window on its way through a decoder: a cache of one or more rows that share the sound."""

    def advance(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens: int64 [rows, n], said after what was said before. Returns float32 logits [rows, n, n_vocab]."""
        ...

    def select(self, rows: Sequence[int]) -> None:
        """Goes on with these rows, each of which may come more than once."""
        ...


@dataclass(frozen=True)
class DecodedWindow:
    """tokens: without prompt and end of text. avg_logprob: mean over the tokens and the end of text."""

    tokens: Sequence[int]
    avg_logprob: float
    no_speech_prob: float
    temperature: float


@dataclass
class _Row:
    tokens: list[int]
    sum_logprob: float = 0.0

    @property
    def likelihood(self) -> float:
        return self.sum_logprob / max(1, len(self.tokens))


class WindowDecoder:
    """max_tokens: said in one window at most; half of the model's text context. Source: openai-whisper decoding.py."""

    def __init__(self, vocabulary: Vocabulary, max_tokens: int, device: torch.device) -> None:
        self._vocabulary = vocabulary
        self._max_tokens = max_tokens
        self._device = device
        self._rules = TokenRules(vocabulary, device)

    def decode(
        self, steps: WindowSteps, prompt: Sequence[int], temperature: float, beam_size: int | None, most_rows: int
    ) -> DecodedWindow:
        """prompt: up to and with the start-of-transcript sequence. beam_size: at temperature 0 only; None for greedy.

        most_rows: beams or candidates at once, where memory is short.
        """
        logits = steps.advance(torch.tensor([list(prompt)], device=self._device))[0]
        start = list(prompt).index(self._vocabulary.start_of_transcript)
        no_speech = float(logits[start].softmax(-1)[self._vocabulary.no_speech])
        beams, candidates = min(beam_size or 1, most_rows), min(CANDIDATES_WHEN_SAMPLING, most_rows)
        if temperature == 0 and beams > 1:
            best = self._search(steps, logits[-1:], beams)
        else:
            best = self._sample(steps, logits[-1:], temperature, candidates if temperature > 0 else 1)
        return DecodedWindow(best.tokens, best.sum_logprob / (len(best.tokens) + 1), no_speech, temperature)

    def _sample(self, steps: WindowSteps, logits: torch.Tensor, temperature: float, count: int) -> _Row:
        steps.select([0] * count)
        logits = logits.repeat(count, 1)
        active, finished = [_Row([]) for _ in range(count)], []
        for _ in range(self._max_tokens):
            self._rules.apply(logits, [row.tokens for row in active])
            log_probabilities = logits.log_softmax(-1)
            chosen = logits.argmax(-1) if temperature == 0 else _draw(logits / temperature)
            gained = log_probabilities.gather(-1, chosen[:, None])[:, 0].tolist()
            kept = []
            for index, (row, token, logprob) in enumerate(zip(active, chosen.tolist(), gained, strict=True)):
                row.sum_logprob += logprob
                if token == self._vocabulary.end_of_text:
                    finished.append(row)
                else:
                    row.tokens.append(token)
                    kept.append(index)
            if not kept:
                break
            if len(kept) < len(active):
                active = [active[index] for index in kept]
                steps.select(kept)
            logits = steps.advance(chosen[kept][:, None])[:, -1]
        else:
            finished += active
        return max(finished, key=lambda row: row.likelihood)

    def _search(self, steps: WindowSteps, logits: torch.Tensor, beam_size: int) -> _Row:
        steps.select([0] * beam_size)
        logits = logits.repeat(beam_size, 1)
        beams, finished = [_Row([]) for _ in range(beam_size)], list[_Row]()
        for number in range(self._max_tokens):
            self._rules.apply(logits, [row.tokens for row in beams])
            values, tokens = logits.log_softmax(-1).topk(beam_size + 1)
            # At first all beams are the same one.
            sources = beams[:1] if number == 0 else beams
            candidates = [
                (row.sum_logprob + value, source, token)
                for source, row in enumerate(sources)
                for value, token in zip(values[source].tolist(), tokens[source].tolist(), strict=True)
            ]
            kept: list[tuple[float, int, int]] = []
            for total, source, token in sorted(candidates, reverse=True):
                if token == self._vocabulary.end_of_text:
                    finished.append(_Row(beams[source].tokens, total))
                else:
                    kept.append((total, source, token))
                if len(kept) == beam_size:
                    break
            if len(finished) >= beam_size:
                break
            beams = [_Row([*beams[source].tokens, token], total) for total, source, token in kept]
            steps.select([source for _, source, _ in kept])
            logits = steps.advance(torch.tensor([[token] for _, _, token in kept], device=self._device))[:, -1]
        # Where too few ended by themselves, the likeliest unfinished ones take part.
        finished += sorted(beams, key=lambda row: -row.sum_logprob)[: max(0, beam_size - len(finished))]
        return max(finished, key=lambda row: row.likelihood)


def rows_to_try(options: TranscriptionOptions) -> tuple[int, ...]:
    """How many beams or candidates to go through the decoder at once: as many as asked for; one, where memory is short."""
    return (max(options.beam_size or 1, CANDIDATES_WHEN_SAMPLING), 1)


def _draw(logits: torch.Tensor) -> torch.Tensor:
    """One token for each row, each as often as it is likely."""
    return torch.multinomial(logits.softmax(-1), 1)[:, 0]
