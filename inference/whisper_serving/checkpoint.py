"""What every archive holds, by openai-whisper's names, whichever framework's form it comes in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from whisper_serving.long_form import TextTokens
from whisper_serving.token_rules import Vocabulary


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
