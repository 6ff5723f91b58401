"""Whisper's decoder over a batch of windows, with caches that are reserved once and rows that leave when they are done.

Source: openai-whisper model.py, whose arithmetic this is. Cross-attention is the part that reads most memory, so its keys and
values are kept in 16 bits where the processor computes with them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn import functional

from whisper_serving.fast_encoder import Norm, Perceptron, fused_linear, linear_of
from whisper_serving.fast_linear import Precision

# Windows of a batch are filled up to a multiple of this, so that sums over positions are made in the same order whatever the
# longest window is: a window's text must not depend on what shares its batch.
_POSITIONS: Final = 64


@dataclass
class _LayerCache:
    """[rows, n_heads, positions, width] each; key and value of what was said, and of the sound."""

    key: torch.Tensor
    value: torch.Tensor
    sound_key: torch.Tensor
    sound_value: torch.Tensor

    def tensors(self) -> tuple[torch.Tensor, ...]:
        return self.key, self.value, self.sound_key, self.sound_value


class _Block:
    """precision: of what is said, token by token. for_sound: of the whole of what is heard."""

    def __init__(
        self, state: Mapping[str, torch.Tensor], block: str, n_heads: int, precision: Precision, for_sound: Precision
    ) -> None:
        self._norm = Norm(state, f"{block}.attn_ln", precision)
        self._project = fused_linear(state, [f"{block}.attn.{part}" for part in ("query", "key", "value")], precision)
        self._out = linear_of(state, f"{block}.attn.out", precision)
        self._cross_norm = Norm(state, f"{block}.cross_attn_ln", precision)
        self._cross_query = linear_of(state, f"{block}.cross_attn.query", precision)
        self._cross_out = linear_of(state, f"{block}.cross_attn.out", precision)
        self._project_sound = fused_linear(state, [f"{block}.cross_attn.{part}" for part in ("key", "value")], for_sound)
        self._perceptron = Perceptron(state, block, precision)
        self._n_heads, self._number, self._residual = n_heads, precision.number, precision.residual

    def reserve(self, sounds: Sequence[torch.Tensor], n_positions: int, n_text: int) -> _LayerCache:
        """sounds: [n, width] each. n_positions: of the longest of them, filled up. n_text: tokens that there is room for."""
        width = sounds[0].shape[-1] // self._n_heads
        shape = (len(sounds), self._n_heads, n_text, width)
        device = sounds[0].device
        said = [torch.empty(shape, dtype=self._residual, device=device) for _ in range(2)]
        heard = torch.zeros((2, len(sounds), self._n_heads, n_positions, width), dtype=self._number, device=device)
        for row, sound in enumerate(sounds):
            both = self._project_sound(sound).view(len(sound), 2, self._n_heads, width)
            heard[:, row, :, : len(sound)] = both.permute(1, 2, 0, 3)
        return _LayerCache(said[0], said[1], heard[0], heard[1])

    def __call__(self, x: torch.Tensor, cache: _LayerCache, said: int, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(x, attention before softmax [rows, n_heads, n, positions]). said: tokens before. mask: 0 where there is sound."""
        rows, n, width = x.shape
        end = said + n
        query, key, value = self._heads(self._project(self._norm(x)), 3)
        cache.key[:rows, :, said:end] = key
        cache.value[:rows, :, said:end] = value
        mixed = functional.scaled_dot_product_attention(
            query.to(self._residual), cache.key[:rows, :, :end], cache.value[:rows, :, :end], attn_mask=_causal(n, said, x)
        )
        x = x + self._out(mixed.transpose(1, 2).reshape(rows, n, width))
        (query,) = self._heads(self._cross_query(self._cross_norm(x)), 1)
        scaled = (query * query.shape[-1] ** -0.5).to(self._number)
        scores = (scaled @ cache.sound_key[:rows].transpose(2, 3)).float() + mask
        mixed = scores.softmax(-1).to(self._number) @ cache.sound_value[:rows]
        x = x + self._cross_out(mixed.transpose(1, 2).reshape(rows, n, width))
        return x + self._perceptron(x), scores

    def _heads(self, x: torch.Tensor, parts: int) -> torch.Tensor:
        """[parts, rows, n_heads, n, width] of [rows, n, parts * all heads' width]."""
        rows, n, width = x.shape
        return x.view(rows, n, parts, self._n_heads, width // parts // self._n_heads).permute(2, 0, 3, 1, 4)


def _causal(n: int, said: int, x: torch.Tensor) -> torch.Tensor | None:
    """A token sees itself and what was said before it. None where there is one token only."""
    if n == 1:
        return None
    return torch.ones(n, said + n, dtype=torch.bool, device=x.device).tril(said)


class FastDecoder:
    """state, n_layers, n_heads: of an openai-whisper checkpoint."""

    def __init__(self, state: Mapping[str, torch.Tensor], n_layers: int, n_heads: int, precision: Precision) -> None:
        embedding = state["decoder.token_embedding.weight"]
        self.n_text = len(state["decoder.positional_embedding"])
        self.device = precision.device
        self._embedding = embedding.to(precision.device)
        self._positions = state["decoder.positional_embedding"].to(precision.device, precision.residual)
        by_token = precision.for_decoder(embedding.shape[1])
        self._blocks = [_Block(state, f"decoder.blocks.{number}", n_heads, by_token, precision) for number in range(n_layers)]
        self._norm = Norm(state, "decoder.ln", precision)
        self._to_logits = precision.linear(embedding, None)

    def begin(self, sounds: Sequence[torch.Tensor]) -> "BatchSteps":
        """sounds: the encoder's output for each window, [n, width]."""
        longest = max(len(sound) for sound in sounds)
        n_positions = -(-longest // _POSITIONS) * _POSITIONS
        caches = [block.reserve(sounds, n_positions, self.n_text) for block in self._blocks]
        mask = torch.zeros(len(sounds), 1, 1, n_positions, device=self.device)
        for row, sound in enumerate(sounds):
            mask[row, ..., len(sound) :] = -torch.inf
        return BatchSteps(self, caches, mask)

    def forward(
        self, tokens: torch.Tensor, said: int, caches: Sequence[_LayerCache], mask: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(states [rows, n, width], attention of each layer) of int64 tokens [rows, n]."""
        x = functional.embedding(tokens, self._embedding).to(self._positions.dtype)
        x = x + self._positions[said : said + tokens.shape[1]]
        attention = []
        for block, cache in zip(self._blocks, caches, strict=True):
            x, scores = block(x, cache, said, mask)
            attention.append(scores)
        return self._norm(x), attention

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        return self._to_logits(states).float()

    def attend(
        self, sound: torch.Tensor, tokens: Sequence[int], heads: Sequence[tuple[int, int]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(logits [n, n_vocab], attention before softmax [heads, n, positions]) of one window, both float32 on the CPU."""
        steps = self.begin([sound])
        states, attention = self.forward(torch.tensor([list(tokens)], device=self.device), 0, steps.caches, steps.mask)
        rows = [attention[layer][0, head, :, : len(sound)] for layer, head in heads]
        return self.logits(states[0]).cpu(), torch.stack(rows).float().cpu()


class BatchSteps:
    """The windows of a batch on their way through the decoder; a WindowSteps."""

    def __init__(self, decoder: FastDecoder, caches: Sequence[_LayerCache], mask: torch.Tensor) -> None:
        self._decoder = decoder
        self._said = 0
        self.caches, self.mask = caches, mask

    def advance(self, tokens: torch.Tensor, wanted: Sequence[int] = (-1,)) -> torch.Tensor:
        states, _ = self._decoder.forward(tokens, self._said, self.caches, self.mask)
        self._said += tokens.shape[1]
        return self._decoder.logits(states[:, list(wanted)])

    def select(self, rows: Sequence[int]) -> None:
        """Where rows only leave, those that stay are not copied; the caller moves the last ones into the gaps."""
        if len(rows) > len(self.mask) or len(set(rows)) < len(rows):
            index = torch.tensor(list(rows), device=self._decoder.device)
            self._replace(lambda tensor: tensor[index])
            return
        for place, row in enumerate(rows):
            if place != row:
                for tensor in self._all():
                    tensor[place].copy_(tensor[row])
        self._replace(lambda tensor: tensor[: len(rows)])

    def _all(self) -> list[torch.Tensor]:
        return [tensor for cache in self.caches for tensor in cache.tensors()] + [self.mask]

    def _replace(self, change: Any) -> None:
        self.caches = [_LayerCache(*(change(tensor) for tensor in cache.tensors())) for cache in self.caches]
        self.mask = change(self.mask)
