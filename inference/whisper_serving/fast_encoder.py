"""Whisper's encoder over one window of any length, without padding it to 30 s.

Source: openai-whisper model.py, whose arithmetic this is, with query, key and value in one multiplication.
"""

from collections.abc import Mapping
from typing import Final

import torch
from torch.nn import functional

from whisper_serving.fast_linear import Linear, Precision

FRAMES_PER_POSITION: Final = 2  # the second convolution's stride


class Norm:
    def __init__(self, state: Mapping[str, torch.Tensor], name: str, precision: Precision) -> None:
        self._weight = state[f"{name}.weight"].to(precision.device, precision.residual)
        self._bias = state[f"{name}.bias"].to(precision.device, precision.residual)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, self._weight.shape, self._weight, self._bias)


class Perceptron:
    """The two layers after each attention, with their normalisation."""

    def __init__(self, state: Mapping[str, torch.Tensor], block: str, precision: Precision) -> None:
        self._norm = Norm(state, f"{block}.mlp_ln", precision)
        self._up = linear_of(state, f"{block}.mlp.0", precision)
        self._down = linear_of(state, f"{block}.mlp.2", precision)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self._down(functional.gelu(self._up(self._norm(x))))


def linear_of(state: Mapping[str, torch.Tensor], name: str, precision: Precision) -> Linear:
    return precision.linear(state[f"{name}.weight"], state.get(f"{name}.bias"))


def fused_linear(state: Mapping[str, torch.Tensor], names: list[str], precision: Precision) -> Linear:
    """Several layers over the same input as one; a layer without bias (Whisper's keys) gets zeros."""
    weights = [state[f"{name}.weight"] for name in names]
    biases = [state.get(f"{name}.bias", torch.zeros(len(weight))) for name, weight in zip(names, weights, strict=True)]
    return precision.linear(torch.cat([weight.float() for weight in weights]), torch.cat([bias.float() for bias in biases]))


class _Block:
    def __init__(self, state: Mapping[str, torch.Tensor], block: str, n_heads: int, precision: Precision) -> None:
        self._norm = Norm(state, f"{block}.attn_ln", precision)
        self._project = fused_linear(state, [f"{block}.attn.{part}" for part in ("query", "key", "value")], precision)
        self._out = linear_of(state, f"{block}.attn.out", precision)
        self._perceptron = Perceptron(state, block, precision)
        self._n_heads, self._number, self._fused = n_heads, precision.number, precision.fused_attention

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        n, width = x.shape
        projected = self._project(self._norm(x)).to(self._number)
        query, key, value = projected.view(n, 3, self._n_heads, width // self._n_heads).permute(1, 2, 0, 3)
        mixed = self._attend(query, key, value).transpose(0, 1).reshape(n, width)
        x = x + self._out(mixed)
        return x + self._perceptron(x)

    def _attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """[n_heads, n, width] each. On CPUs two plain products take less than half of the fused attention's time."""
        if self._fused:
            return functional.scaled_dot_product_attention(query[None], key[None], value[None])[0]
        scores = torch.bmm(query * query.shape[-1] ** -0.5, key.transpose(1, 2))
        return torch.bmm(scores.softmax(-1), value)


class FastEncoder:
    """state, n_layers, n_heads: of an openai-whisper checkpoint."""

    def __init__(self, state: Mapping[str, torch.Tensor], n_layers: int, n_heads: int, precision: Precision) -> None:
        self._precision = precision
        self._convolutions = [
            (self._as_number(state[f"encoder.{name}.weight"]), self._as_number(state[f"encoder.{name}.bias"]), stride)
            for name, stride in (("conv1", 1), ("conv2", FRAMES_PER_POSITION))
        ]
        self._positions = state["encoder.positional_embedding"].to(precision.device, precision.residual)
        self._blocks = [_Block(state, f"encoder.blocks.{number}", n_heads, precision) for number in range(n_layers)]
        self._norm = Norm(state, "encoder.ln_post", precision)

    def __call__(self, mel: torch.Tensor) -> torch.Tensor:
        """[n_frames // 2, width] of float32 [n_mels, n_frames], at most 3,000 frames."""
        x = mel[None].to(self._precision.device, self._precision.number)
        for weight, bias, stride in self._convolutions:
            x = functional.gelu(functional.conv1d(x, weight, bias, stride=stride, padding=1))
        x = x[0].T.to(self._precision.residual)
        x = x + self._positions[: len(x)]
        for block in self._blocks:
            x = block(x)
        return self._norm(x)

    def _as_number(self, values: torch.Tensor) -> torch.Tensor:
        return values.to(self._precision.device, self._precision.number)
