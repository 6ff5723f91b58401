"""From one window of sound to tokens: greedily, by sampling, or with beams. Knows no framework's model, only its steps.

Source: openai-whisper decoding.py (DecodingTask, GreedyDecoder, BeamSearchDecoder, MaximumLikelihoodRanker).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import torch

from whisper_serving.token_rules import TokenRules, Vocabulary
from whisperstack_contract.options import TranscriptionOptions

# Half of the text context is for what was said before, half for what is said now. Source: openai-whisper decoding.py.
PROMPT_SHARE: Final = 2

CANDIDATES_WHEN_SAMPLING: Final = 5  # source: openai-whisper transcribe.py, the command line's best_of


class WindowSteps(Protocol):
    """One window or several on their way through a decoder: a cache of one or more rows."""

    def advance(self, tokens: torch.Tensor, wanted: Sequence[int] = (-1,)) -> torch.Tensor:
        """tokens: int64 [rows, n], said after what was said before. wanted: after which of them to tell what may come next.

        Returns float32 logits [rows, wanted, n_vocab].
        """
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
    window: int = 0

    @property
    def likelihood(self) -> float:
        return self.sum_logprob / max(1, len(self.tokens))


class WindowDecoder:
    """n_text: the model's text context in tokens."""

    def __init__(self, vocabulary: Vocabulary, n_text: int, device: torch.device) -> None:
        self._vocabulary = vocabulary
        self._n_text = n_text
        self._device = device
        self._rules = TokenRules(vocabulary, device)

    def decode(
        self, steps: WindowSteps, prompt: Sequence[int], temperature: float, beam_size: int | None, most_rows: int
    ) -> DecodedWindow:
        """prompt: up to and with the start-of-transcript sequence. beam_size: at temperature 0 only; None for greedy.

        most_rows: beams or candidates at once, where memory is short.
        """
        beams, candidates = min(beam_size or 1, most_rows), min(CANDIDATES_WHEN_SAMPLING, most_rows)
        no_speech, logits = self._hear(steps, prompt, 1)
        if temperature == 0 and beams > 1:
            best = self._search(steps, logits, beams, self._most_tokens(prompt))
        else:
            count = candidates if temperature > 0 else 1
            (best,) = self._sample(steps, logits, temperature, count, self._most_tokens(prompt))
        return _decoded(best, no_speech[0], temperature)

    def decode_greedily(self, steps: WindowSteps, prompt: Sequence[int], n_windows: int) -> list[DecodedWindow]:
        """Several windows after the same prompt, each a row of `steps`."""
        no_speech, logits = self._hear(steps, prompt, n_windows)
        best = self._sample(steps, logits, 0, 1, self._most_tokens(prompt))
        return [_decoded(row, silence, 0.0) for row, silence in zip(best, no_speech, strict=True)]

    def _most_tokens(self, prompt: Sequence[int]) -> int:
        """Said in one window: half of the context, or what a long prompt leaves. The last needs no room: nothing follows it.

        Source: openai-whisper decoding.py, sample_len and the loop's end.
        """
        return min(self._n_text // PROMPT_SHARE, self._n_text + 1 - len(prompt))

    def _hear(self, steps: WindowSteps, prompt: Sequence[int], n_windows: int) -> tuple[list[float], torch.Tensor]:
        """(probability of no speech, logits of what is said first) for each window."""
        start = list(prompt).index(self._vocabulary.start_of_transcript)
        tokens = torch.tensor([list(prompt)] * n_windows, device=self._device)
        logits = steps.advance(tokens, (start, len(prompt) - 1))
        return logits[:, 0].softmax(-1)[:, self._vocabulary.no_speech].tolist(), logits[:, 1]

    def _sample(self, steps: WindowSteps, logits: torch.Tensor, temperature: float, count: int, most_tokens: int) -> list[_Row]:
        """The likeliest of `count` rows for each window."""
        windows = [window for window in range(len(logits)) for _ in range(count)]
        if count > 1:
            steps.select(windows)
            logits = logits[windows]
        active, finished = [_Row([], window=window) for window in windows], list[_Row]()
        for said in range(1, most_tokens + 1):
            self._rules.apply(logits, [row.tokens for row in active])
            chosen = logits.argmax(-1) if temperature == 0 else _draw(logits / temperature)
            gained = (logits.gather(-1, chosen[:, None])[:, 0] - logits.logsumexp(-1)).tolist()
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
            if said == most_tokens:
                finished += [active[index] for index in kept]
                break
            if len(kept) < len(active):
                kept = _without_gaps(kept)
                active = [active[index] for index in kept]
                steps.select(kept)
            logits = steps.advance(chosen[kept][:, None])[:, -1]
        finished.sort(key=lambda row: row.likelihood)
        best = {row.window: row for row in finished}
        return [best[window] for window in sorted(best)]

    def _search(self, steps: WindowSteps, logits: torch.Tensor, beam_size: int, most_tokens: int) -> _Row:
        steps.select([0] * beam_size)
        logits = logits.repeat(beam_size, 1)
        beams, finished = [_Row([]) for _ in range(beam_size)], list[_Row]()
        for number in range(most_tokens):
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
            if number + 1 == most_tokens:
                break
            steps.select([source for _, source, _ in kept])
            logits = steps.advance(torch.tensor([[token] for _, _, token in kept], device=self._device))[:, -1]
        # Where too few ended by themselves, the likeliest unfinished ones take part.
        finished += sorted(beams, key=lambda row: -row.sum_logprob)[: max(0, beam_size - len(finished))]
        return max(finished, key=lambda row: row.likelihood)


def rows_to_try(options: TranscriptionOptions) -> tuple[int, ...]:
    """How many beams or candidates to go through the decoder at once: as many as asked for; one, where memory is short."""
    return (max(options.beam_size or 1, CANDIDATES_WHEN_SAMPLING), 1)


def _decoded(row: _Row, no_speech: float, temperature: float) -> DecodedWindow:
    return DecodedWindow(row.tokens, row.sum_logprob / (len(row.tokens) + 1), no_speech, temperature)


def _without_gaps(kept: Sequence[int]) -> list[int]:
    """The same rows, as many as can be where they are: the last ones move to where others left."""
    staying = {index for index in kept if index < len(kept)}
    moving = [index for index in kept if index >= len(kept)]
    return [place if place in staying else moving.pop() for place in range(len(kept))]


def _draw(logits: torch.Tensor) -> torch.Tensor:
    """One token for each row, each as often as it is likely."""
    return torch.multinomial(logits.softmax(-1), 1)[:, 0]
