"""Turns the variables of a CTranslate2 Whisper model into an openai-whisper checkpoint, without loss.

The two hold the same numbers under different names, except that CTranslate2 stacks projections of the same input in one matrix:
query, key and value in self-attention, key and value in cross-attention. Whisper's key projection has no bias (Radford et
al. 2022, openai-whisper model.py); CTranslate2 stores zeros in its place.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from model_build.checkpoint import Checkpoint
from model_build.ctranslate2 import CTranslate2Model, Variable
from model_build.errors import BuildError

SPECIFICATION: Final = "WhisperSpec"
_FLOATS: Final = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Rows:
    """Part `index` of `parts` equal parts of a variable's rows."""

    variable: str
    index: int = 0
    parts: int = 1


def convert(model: CTranslate2Model) -> Checkpoint:
    """Tensors share the model's buffer: nothing is copied. Raises BuildError where it is no unquantised Whisper model."""
    if model.specification != SPECIFICATION:
        raise BuildError(f"the model is a {model.specification!r}; only {SPECIFICATION!r} (Whisper) can be converted")
    _refuse_quantised(model)
    encoder_layers, decoder_layers = _count_layers(model, "encoder"), _count_layers(model, "decoder")
    state = {name: _tensor(model, rows) for name, rows in layout(encoder_layers, decoder_layers)}
    for variable in key_biases(encoder_layers, decoder_layers):
        if torch.count_nonzero(_tensor(model, variable)):
            raise BuildError(
                f"{variable.variable!r} has a key bias that is not zero; Whisper has none, so this is another model"
            )
    return Checkpoint(_dimensions(model, state, encoder_layers, decoder_layers), state)


def _refuse_quantised(model: CTranslate2Model) -> None:
    for variable in model.variables.values():
        if variable.shape and variable.element.name not in _FLOATS:
            raise BuildError(
                f"{variable.name!r} is quantised to {variable.element.name}; a checkpoint needs the original numbers: "
                f"convert the model again with --quantization float16"
            )


def _count_layers(model: CTranslate2Model, side: str) -> int:
    pattern = re.compile(rf"{side}/layer_([0-9]{{1,3}})/")
    numbers = {int(match[1]) for name in model.variables if (match := pattern.match(name))}
    if numbers != set(range(len(numbers))) or not numbers:
        raise BuildError(f"the {side} has the layers {sorted(numbers)}; they must count up from 0 without a gap")
    return len(numbers)


def layout(encoder_layers: int, decoder_layers: int) -> Iterator[tuple[str, Rows]]:
    """(name in openai-whisper, rows in CTranslate2) of every tensor in a checkpoint."""
    yield from _weight_and_bias("encoder.conv1", "encoder/conv1")
    yield from _weight_and_bias("encoder.conv2", "encoder/conv2")
    yield "encoder.positional_embedding", Rows("encoder/position_encodings/encodings")
    yield from _layer_norm("encoder.ln_post", "encoder/layer_norm")
    yield "decoder.token_embedding.weight", Rows("decoder/embeddings/weight")
    yield "decoder.positional_embedding", Rows("decoder/position_encodings/encodings")
    yield from _layer_norm("decoder.ln", "decoder/layer_norm")
    for number in range(encoder_layers):
        yield from _block_layout(f"encoder.blocks.{number}", f"encoder/layer_{number}")
    for number in range(decoder_layers):
        yield from _block_layout(f"decoder.blocks.{number}", f"decoder/layer_{number}")
        yield from _cross_attention_layout(f"decoder.blocks.{number}", f"decoder/layer_{number}/attention")


def _block_layout(block: str, layer: str) -> Iterator[tuple[str, Rows]]:
    yield from _stacked(f"{block}.attn", f"{layer}/self_attention/linear_0", ("query", "key", "value"))
    yield from _weight_and_bias(f"{block}.attn.out", f"{layer}/self_attention/linear_1")
    yield from _layer_norm(f"{block}.attn_ln", f"{layer}/self_attention/layer_norm")
    yield from _weight_and_bias(f"{block}.mlp.0", f"{layer}/ffn/linear_0")
    yield from _weight_and_bias(f"{block}.mlp.2", f"{layer}/ffn/linear_1")
    yield from _layer_norm(f"{block}.mlp_ln", f"{layer}/ffn/layer_norm")


def _cross_attention_layout(block: str, attention: str) -> Iterator[tuple[str, Rows]]:
    yield from _weight_and_bias(f"{block}.cross_attn.query", f"{attention}/linear_0")
    yield from _stacked(f"{block}.cross_attn", f"{attention}/linear_1", ("key", "value"))
    yield from _weight_and_bias(f"{block}.cross_attn.out", f"{attention}/linear_2")
    yield from _layer_norm(f"{block}.cross_attn_ln", f"{attention}/layer_norm")


def _weight_and_bias(module: str, scope: str) -> Iterator[tuple[str, Rows]]:
    yield f"{module}.weight", Rows(f"{scope}/weight")
    yield f"{module}.bias", Rows(f"{scope}/bias")


def _layer_norm(module: str, scope: str) -> Iterator[tuple[str, Rows]]:
    yield f"{module}.weight", Rows(f"{scope}/gamma")
    yield f"{module}.bias", Rows(f"{scope}/beta")


def _stacked(module: str, scope: str, projections: Sequence[str]) -> Iterator[tuple[str, Rows]]:
    for index, projection in enumerate(projections):
        yield f"{module}.{projection}.weight", Rows(f"{scope}/weight", index, len(projections))
        if projection != "key":
            yield f"{module}.{projection}.bias", Rows(f"{scope}/bias", index, len(projections))


def key_biases(encoder_layers: int, decoder_layers: int) -> Iterator[Rows]:
    for side, layers in (("encoder", encoder_layers), ("decoder", decoder_layers)):
        yield from (Rows(f"{side}/layer_{number}/self_attention/linear_0/bias", 1, 3) for number in range(layers))
    yield from (Rows(f"decoder/layer_{number}/attention/linear_1/bias", 0, 2) for number in range(decoder_layers))


def _variable(model: CTranslate2Model, name: str) -> Variable:
    try:
        return model.variables[name]
    except KeyError as error:
        raise BuildError(f"the model lacks the variable {name!r}; it is no Whisper model, or not whole") from error


def _tensor(model: CTranslate2Model, rows: Rows) -> torch.Tensor:
    """A tensor of its own for these rows, so that saving it saves them and no more."""
    variable = _variable(model, rows.variable)
    if not variable.shape or 0 in variable.shape or variable.shape[0] % rows.parts:
        raise BuildError(f"{variable.name!r} has the shape {list(variable.shape)}; it needs rows in {rows.parts} equal parts")
    size_bytes = variable.size_bytes // rows.parts
    flat = torch.frombuffer(
        model.buffer,
        dtype=_FLOATS[variable.element.name],
        count=size_bytes // variable.element.size_bytes,
        offset=variable.offset + rows.index * size_bytes,
    )
    return flat.reshape(variable.shape[0] // rows.parts, *variable.shape[1:])


def _dimensions(
    model: CTranslate2Model, state: dict[str, torch.Tensor], encoder_layers: int, decoder_layers: int
) -> dict[str, int]:
    def size(tensor: str, rank: int, axis: int) -> int:
        shape = state[tensor].shape
        if len(shape) != rank:
            raise BuildError(f"{tensor} has the shape {list(shape)}; Whisper's has {rank} dimensions")
        return int(shape[axis])

    return {
        "n_mels": size("encoder.conv1.weight", 3, 1),
        "n_audio_ctx": size("encoder.positional_embedding", 2, 0),
        "n_audio_state": size("encoder.positional_embedding", 2, 1),
        "n_audio_head": _scalar(model, "encoder/num_heads"),
        "n_audio_layer": encoder_layers,
        "n_vocab": size("decoder.token_embedding.weight", 2, 0),
        "n_text_ctx": size("decoder.positional_embedding", 2, 0),
        "n_text_state": size("decoder.positional_embedding", 2, 1),
        "n_text_head": _scalar(model, "decoder/num_heads"),
        "n_text_layer": decoder_layers,
    }


def _scalar(model: CTranslate2Model, name: str) -> int:
    variable = _variable(model, name)
    if variable.shape or variable.element.name in _FLOATS:
        raise BuildError(f"{name!r} is {variable.element.name} {list(variable.shape)}; it must be one whole number")
    return int.from_bytes(model.bytes_of(variable), "little", signed=True)
