"""Linear layers in the numbers that the processor multiplies fastest.

On CPUs with 8-bit dot products (VNNI) weights are rounded to 8 bits per output channel, and activations to 8 bits per row when
they come, or to 16 in narrow decoders, which take one token at a time. Sums of 8-bit products are exact integers, and those of
a row with 16-bit activations are made in the same order for any number of rows: a row's result does not depend on what shares
the batch. Elsewhere layers stay in 16 or 32 bits.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

import torch

_LARGEST: Final = 127.0
_UNSIGNED_ZERO: Final = 128  # oneDNN multiplies unsigned activations by signed weights
_HIGHEST_BIT: Final = -128
# An all-zero row must not be divided by zero.
_LEAST_SCALE: Final = 1e-12
# Up to that width a decoder's step is quicker with activations in 16 bits, whatever the number of rows: the other way's time is
# spent on a dozen small operations. docs/performance.md has the figures.
_WIDEST_WEIGHT_ONLY: Final = 512


class Linear(Protocol):
    """[..., n_in] → [..., n_out], floating point, in the type that the layer's precision computes in."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...


@dataclass(frozen=True)
class Precision:
    """device: where. number: type of activations that are no residuals or sums. eight_bit: linear layers in 8 bits.

    residual: of the sums that all layers add to, where rounding would pile up. fused_attention: in one operation of torch's.
    step_by_step: layers are given one token of each row, mostly.
    """

    device: torch.device
    number: torch.dtype
    eight_bit: bool = False
    residual: torch.dtype = torch.float32
    fused_attention: bool = False
    step_by_step: bool = False

    @classmethod
    def best_for(cls, device: torch.device) -> "Precision":
        """The fastest that this hardware and this torch can do."""
        if device.type == "cuda":
            return cls.half(device)
        number = torch.bfloat16 if _cpu_has("_is_avx512_bf16_supported") else torch.float32
        return cls(device, number, eight_bit=_cpu_has("_is_vnni_supported") and _eight_bit_works())

    @classmethod
    def half(cls, device: torch.device) -> "Precision":
        """All in 16 bits, which is what GPUs are made for."""
        return cls(device, torch.float16, residual=torch.float16, fused_attention=True)

    def for_decoder(self, width: int) -> "Precision":
        """The fastest for the layers of a decoder of that width."""
        fits = self.eight_bit and self.number is torch.bfloat16 and width <= _WIDEST_WEIGHT_ONLY
        return replace(self, step_by_step=fits and _weight_only_works())

    def linear(self, weight: torch.Tensor, bias: torch.Tensor | None) -> Linear:
        """weight: [n_out, n_in]. bias: [n_out]."""
        if self.step_by_step:
            return StepLinear(WeightOnlyLinear(weight.float(), bias), EightBitLinear(weight.float(), bias))
        if self.eight_bit:
            return EightBitLinear(weight.float(), bias)
        return PlainLinear(weight.to(self.device, self.number), None if bias is None else bias.to(self.device, self.number))


class PlainLinear:
    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self._weight, self._bias = weight, bias

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x.to(self._weight.dtype), self._weight, self._bias)


class StepLinear:
    """One way for one token of each row, another for several: the number of rows makes no difference to what a row comes to."""

    def __init__(self, one: Linear, several: Linear) -> None:
        self._one, self._several = one, several

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self._one(x) if x.shape[1] == 1 else self._several(x)


class WeightOnlyLinear:
    """Weights in 8 bits, activations in bfloat16, which it returns. weight: float32 [n_out, n_in]."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self._weight, scales = _rounded(weight)
        self._scales = scales.bfloat16()
        self._bias = None if bias is None else bias.bfloat16()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1]).bfloat16()
        result: torch.Tensor = torch._weight_int8pack_mm(rows, self._weight, self._scales)
        result = result.view(*x.shape[:-1], len(self._scales))
        return result if self._bias is None else result.add_(self._bias)


class EightBitLinear:
    """Takes and returns float32. weight: float32 [n_out, n_in]."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        rounded, self._scales = _rounded(weight)
        self._weight = torch.ops.onednn.qlinear_prepack(rounded, None)
        self._zeros = torch.zeros(len(weight), dtype=torch.int32)
        self._bias = None if bias is None else bias.float()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.float()
        scale = rows.abs().amax(-1, keepdim=True).clamp_(min=_LEAST_SCALE).div_(_LARGEST)
        # The highest bit turned over: -127..127 become 1..255, in less than half of the time of a conversion to uint8.
        rounded = (rows / scale).round_().to(torch.int8).bitwise_xor_(_HIGHEST_BIT).view(torch.uint8)
        result: torch.Tensor = torch.ops.onednn.qlinear_pointwise(
            rounded, 1.0, _UNSIGNED_ZERO, self._weight, self._scales, self._zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        result.mul_(scale)
        return result if self._bias is None else result.add_(self._bias)


def _rounded(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(int8 [n_out, n_in], float32 [n_out]), whose product is the weight."""
    scales = weight.abs().amax(1).clamp_(min=_LEAST_SCALE).div_(_LARGEST)
    return (weight / scales[:, None]).round_().to(torch.int8), scales


def _cpu_has(question: str) -> bool:
    """question: of torch.cpu, whose private answers come and go with its versions."""
    ask = getattr(torch.cpu, question, None)
    return ask is not None and bool(ask())


def _eight_bit_works() -> bool:
    return _computes(EightBitLinear)


def _weight_only_works() -> bool:
    return _computes(WeightOnlyLinear)


def _computes(layer: Callable[[torch.Tensor, None], Linear]) -> bool:
    """Whether this torch has the layer's operators, as they are called here."""
    weight = torch.eye(64)
    try:
        return torch.allclose(layer(weight, None)(weight).float(), weight, atol=0.02)
    except (AttributeError, RuntimeError):
        return False
