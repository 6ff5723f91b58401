"""What every archive holds, by openai-whisper's names, whichever framework's form it comes in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from whisper_serving.long_form import TextTokens
from whisper_serving.token_rules import Vocabulary
from whisperstack_contract.weight_shapes import expected_shapes


class Tokenizer(TextTokens, Protocol):
    @property
    def vocabulary(self) -> Vocabulary: ...


@dataclass(frozen=True)
class Checkpoint:
    """dims: as openai-whisper's ModelDimensions. heads: (layer, head) of the cross-attention that follows the audio."""

    dims: Mapping[str, int]
    state: Mapping[str, torch.Tensor]
    tokenizer: Tokenizer
    heads: Sequence[tuple[int, int]]

    def check(self) -> None:
        """Raises ValueError naming the first tensor that is not as the dims say, or heads that share no width."""
        for side in ("audio", "text"):
            width, heads = self.dims[f"n_{side}_state"], self.dims[f"n_{side}_head"]
            if heads < 1 or width % heads:
                raise ValueError(f"a width of {width} cannot be shared by {heads} {side} attention heads")
        expected = expected_shapes(self.dims)
        if strange := sorted(set(expected) ^ set(self.state)):
            raise ValueError(f"{strange[0]} is {'missing' if strange[0] in expected else 'in no model of these dimensions'}")
        for name, shape in expected.items():
            found = self.state[name]
            if tuple(found.shape) != shape or not found.is_floating_point():
                raise ValueError(
                    f"{name} is {found.dtype} {list(found.shape)}; it must be floating-point numbers {list(shape)}"
                )
