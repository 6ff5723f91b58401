"""Whisper's tensors under their two names: openai-whisper's checkpoint and transformers' WhisperForConditionalGeneration.

transformers also has an output projection, which is the token embedding under a second name and need not be stored.
"""

import re
from collections.abc import Mapping
from typing import Final

# openai-whisper → transformers, below "model.".
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
_TENSORS_BACK: Final = {new: old for old, new in _TENSORS.items()}
_BLOCK_BACK: Final = {new: old for old, new in _BLOCK.items()}

# Of transformers' names.
OUTPUT_PROJECTION: Final = "proj_out.weight"
EMBEDDING: Final = "model.decoder.embed_tokens.weight"

# openai-whisper's ModelDimensions → WhisperConfig.
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


def dimensions_of(configuration: Mapping[str, object]) -> dict[str, int]:
    """openai-whisper's dims of a config.json. Raises ValueError for one that is no Whisper's."""
    if configuration.get("model_type") != "whisper":
        raise ValueError(f"config.json describes a {configuration.get('model_type')!r} model; only 'whisper' can be built")
    dimensions = {}
    for name, its_name in CONFIGURATION_OF_DIMENSIONS.items():
        value = configuration.get(its_name)
        if type(value) is not int:
            raise ValueError(f"{its_name} in config.json is {value!r}; a Whisper model has a whole number there")
        dimensions[name] = value
    return dimensions


def huggingface_name(name: str) -> str:
    """Of a tensor of a checkpoint. Raises ValueError for one that Whisper does not have."""
    return _renamed(name, _TENSORS, _BLOCK, ("blocks", "layers"), ("", "model."))


def openai_name(name: str) -> str:
    """Of a tensor of transformers, the output projection excepted. Raises ValueError for one that Whisper does not have."""
    return _renamed(name, _TENSORS_BACK, _BLOCK_BACK, ("layers", "blocks"), ("model.", ""))


def _renamed(
    name: str, tensors: Mapping[str, str], blocks: Mapping[str, str], lists: tuple[str, str], prefixes: tuple[str, str]
) -> str:
    """lists, prefixes: how they are called, and how they shall be."""
    if name.startswith(prefixes[0]):
        rest = name.removeprefix(prefixes[0])
        if rest in tensors:
            return prefixes[1] + tensors[rest]
        module, _, kind = rest.rpartition(".")
        if module in tensors:
            return f"{prefixes[1]}{tensors[module]}.{kind}"
        match = re.fullmatch(rf"(encoder|decoder)\.{lists[0]}\.([0-9]{{1,3}})\.(.+)\.(weight|bias)", rest)
        if match is not None and match[3] in blocks:
            return f"{prefixes[1]}{match[1]}.{lists[1]}.{match[2]}.{blocks[match[3]]}.{match[4]}"
    raise ValueError(f"the weights hold {name!r}, which Whisper does not have; they are another model's")
