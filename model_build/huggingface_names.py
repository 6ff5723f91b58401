"""The same numbers under two names: openai-whisper's checkpoint and transformers' WhisperForConditionalGeneration.

Nothing is computed, so a conversion there and back gives the same bits.
"""

from collections.abc import Mapping

import torch

from model_build.checkpoint import Checkpoint, check_checkpoint
from model_build.errors import BuildError
from whisperstack_contract.weight_names import EMBEDDING, OUTPUT_PROJECTION, dimensions_of, huggingface_name, openai_name


def to_huggingface(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """The state dict that transformers stores for this checkpoint; tensors are shared. Raises BuildError."""
    check_checkpoint(checkpoint)
    return {huggingface_name(name): tensor for name, tensor in checkpoint.state.items()}


def from_huggingface(state: Mapping[str, torch.Tensor], configuration: Mapping[str, object]) -> Checkpoint:
    """The openai-whisper checkpoint of a transformers state dict and its config.json; tensors are shared.

    Raises BuildError where this is no Whisper model.
    """
    tied = state.get(OUTPUT_PROJECTION)
    if tied is not None and not (EMBEDDING in state and torch.equal(tied, state[EMBEDDING])):
        raise BuildError(
            f"{OUTPUT_PROJECTION} differs from the token embedding; Whisper has one matrix for both, "
            "so nothing can be built from this model: train it with tied weights"
        )
    try:
        converted = {openai_name(name): tensor for name, tensor in state.items() if name != OUTPUT_PROJECTION}
        checkpoint = Checkpoint(dimensions_of(configuration), converted)
    except ValueError as error:
        raise BuildError(str(error)) from error
    check_checkpoint(checkpoint)
    return checkpoint
