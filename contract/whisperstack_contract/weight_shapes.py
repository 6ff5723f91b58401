"""The tensors of a Whisper model, by arithmetic from its dimensions; nothing here needs torch."""

from collections.abc import Mapping
from typing import Final

# As openai-whisper's ModelDimensions.
DIMENSIONS: Final = (
    "n_mels", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer",
    "n_vocab", "n_text_ctx", "n_text_state", "n_text_head", "n_text_layer",
)  # fmt: skip

_CONVOLUTION_WIDTH: Final = 3  # frames; source: openai-whisper model.py, AudioEncoder
_MLP_WIDENING: Final = 4  # source: openai-whisper model.py, ResidualAttentionBlock


def expected_shapes(dims: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a Whisper model. Source: openai-whisper model.py (AudioEncoder, TextDecoder)."""
    width = dims["n_audio_state"]
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.conv1.weight": (width, dims["n_mels"], _CONVOLUTION_WIDTH),
        "encoder.conv1.bias": (width,),
        "encoder.conv2.weight": (width, width, _CONVOLUTION_WIDTH),
        "encoder.conv2.bias": (width,),
        "encoder.positional_embedding": (dims["n_audio_ctx"], width),
        "decoder.positional_embedding": (dims["n_text_ctx"], width),
        "decoder.token_embedding.weight": (dims["n_vocab"], width),
        **_layer_norm_shapes("encoder.ln_post", width),
        **_layer_norm_shapes("decoder.ln", width),
    }
    for number in range(dims["n_audio_layer"]):
        shapes |= _block_shapes(f"encoder.blocks.{number}", width)
    for number in range(dims["n_text_layer"]):
        shapes |= _block_shapes(f"decoder.blocks.{number}", width)
        shapes |= _attention_shapes(f"decoder.blocks.{number}.cross_attn", width)
        shapes |= _layer_norm_shapes(f"decoder.blocks.{number}.cross_attn_ln", width)
    return shapes


def _block_shapes(block: str, width: int) -> dict[str, tuple[int, ...]]:
    return {
        **_attention_shapes(f"{block}.attn", width),
        **_layer_norm_shapes(f"{block}.attn_ln", width),
        f"{block}.mlp.0.weight": (_MLP_WIDENING * width, width),
        f"{block}.mlp.0.bias": (_MLP_WIDENING * width,),
        f"{block}.mlp.2.weight": (width, _MLP_WIDENING * width),
        f"{block}.mlp.2.bias": (width,),
        **_layer_norm_shapes(f"{block}.mlp_ln", width),
    }


def _attention_shapes(attention: str, width: int) -> dict[str, tuple[int, ...]]:
    weights = {f"{attention}.{projection}.weight": (width, width) for projection in ("query", "key", "value", "out")}
    return weights | {f"{attention}.{projection}.bias": (width,) for projection in ("query", "value", "out")}


def _layer_norm_shapes(layer_norm: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{layer_norm}.weight": (width,), f"{layer_norm}.bias": (width,)}
