"""The same numbers under two names: openai-whisper's checkpoint and transformers' WhisperForConditionalGeneration.

Nothing is computed, so a conversion there and back gives the same bits. transformers also has an output projection, which is
the token embedding under a second name and is not stored.
"""

import re
from collections.abc import Mapping
from typing import Final

import torch

from model_build.checkpoint import Checkpoint, check_checkpoint
from model_build.errors import BuildError

# openai-whisper → transformers, below "model."; {} is the number of a layer.
_TENSORS: Final = {
    "encoder.conv1": "encoder.conv1",
    "encoder.conv2": "encoder.conv2",
    "encoder.positional_embedding": "encoder.embed_positions.weight",
    "encoder.ln_post": "encoder.layer_norm",
    "decoder.token_embedding": "decoder.embed_tokens",
    "decoder.positional_embedding": "decoder.embed_positions.weight",
    "decoder.ln": "decoder.layer_norm",
}
_BLOCK: Final = {
    "attn.query": "self_attn.q_proj",
    "attn.key": "self_attn.k_proj",
    "attn.value": "self_attn.v_proj",
    "attn.out": "self_attn.out_proj",
    "attn_ln": "self_attn_layer_norm",
    "cross_attn.query": "encoder_attn.q_proj",
    "cross_attn.key": "encoder_attn.k_proj",
    "cross_attn.value": "encoder_attn.v_proj",
    "cross_attn.out": "encoder_attn.out_proj",
    "cross_attn_ln": "encoder_attn_layer_norm",
    "mlp.0": "fc1",
    "mlp.2": "fc2",
    "mlp_ln": "final_layer_norm",
}
_OUTPUT_PROJECTION: Final = "proj_out.weight"
_EMBEDDING: Final = "model.decoder.embed_tokens.weight"

# ModelDimensions → WhisperConfig.
CONFIGURATION_OF_DIMENSIONS: Final = {
    "n_mels": "num_mel_bins",
    "n_audio_ctx": "max_source_positions",
    "n_audio_state": "d_model",
    "n_audio_head": "encoder_attention_heads",
    "n_audio_layer": "encoder_layers",
    "n_vocab": "vocab_size",
    "n_text_ctx": "max_target_positions",
    "n_text_state": "d_model",
    "n_text_head": "decoder_attention_heads",
    "n_text_layer": "decoder_layers",
}


def to_huggingface(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """The state dict that transformers stores for this checkpoint; tensors are shared. Raises BuildError."""
    check_checkpoint(checkpoint)
    return {
        _rename(name, _TENSORS, _BLOCK, "blocks", "layers", "", "model."): tensor for name, tensor in checkpoint.state.items()
    }


def from_huggingface(state: Mapping[str, torch.Tensor], configuration: Mapping[str, object]) -> Checkpoint:
    """The openai-whisper checkpoint of a transformers state dict and its config.json; tensors are shared.

    Raises BuildError where this is no Whisper model.
    """
    tied = state.get(_OUTPUT_PROJECTION)
    if tied is not None and not (_EMBEDDING in state and torch.equal(tied, state[_EMBEDDING])):
        raise BuildError(
            f"{_OUTPUT_PROJECTION} differs from the token embedding; Whisper has one matrix for both, "
            "so nothing can be built from this model: train it with tied weights"
        )
    tensors, blocks = {new: old for old, new in _TENSORS.items()}, {new: old for old, new in _BLOCK.items()}
    converted = {
        _rename(name, tensors, blocks, "layers", "blocks", "model.", ""): tensor
        for name, tensor in state.items()
        if name != _OUTPUT_PROJECTION
    }
    checkpoint = Checkpoint(dimensions_of(configuration), converted)
    check_checkpoint(checkpoint)
    return checkpoint


def dimensions_of(configuration: Mapping[str, object]) -> dict[str, int]:
    """openai-whisper's dims of a config.json. Raises BuildError for one that is no Whisper's."""
    if configuration.get("model_type") != "whisper":
        raise BuildError(f"config.json describes a {configuration.get('model_type')!r} model; only 'whisper' can be built")
    dimensions = {}
    for name, its_name in CONFIGURATION_OF_DIMENSIONS.items():
        value = configuration.get(its_name)
        if not isinstance(value, int):
            raise BuildError(f"{its_name} in config.json is {value!r}; a Whisper model has a whole number there")
        dimensions[name] = value
    return dimensions


def _rename(
    name: str,
    tensors: Mapping[str, str],
    blocks: Mapping[str, str],
    list_name: str,
    new_list_name: str,
    prefix: str,
    new_prefix: str,
) -> str:
    if not name.startswith(prefix):
        raise BuildError(f"the weights hold {name!r}, which Whisper does not have; they are another model's")
    rest = name.removeprefix(prefix)
    if rest in tensors:
        return new_prefix + tensors[rest]
    module, _, kind = rest.rpartition(".")
    if module in tensors:
        return f"{new_prefix}{tensors[module]}.{kind}"
    match = re.fullmatch(rf"(encoder|decoder)\.{list_name}\.([0-9]{{1,3}})\.(.+)\.(weight|bias)", rest)
    if match is None or match[3] not in blocks:
        raise BuildError(f"the weights hold {name!r}, which Whisper does not have; they are another model's")
    return f"{new_prefix}{match[1]}.{new_list_name}.{match[2]}.{blocks[match[3]]}.{match[4]}"
