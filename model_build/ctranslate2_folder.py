"""Writes a checkpoint as a CTranslate2 folder, as CTranslate2's own converter would, for AWS's WhisperX image.

Order and names of the variables and the constants among them are the converter's, so that its file and this one are equal byte
for byte. Source: CTranslate2, python/ctranslate2/specs (whisper_spec.py, transformer_spec.py, model_spec.py) and
converters/transformers.py (WhisperLoader). The reader is ctranslate2.py.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import torch
from transformers import WhisperFeatureExtractor

from model_build.checkpoint import Checkpoint, check_checkpoint
from model_build.convert_ctranslate2 import SPECIFICATION, key_biases, layout
from model_build.ctranslate2 import BINARY_VERSION, ELEMENT_TYPES, MODEL_FILENAME
from model_build.huggingface_tokenizer import require_whispers_tokenizer, write_tokenizer
from model_build.mapped_memory import release
from model_build.vocabulary import alignment_heads, language_codes, suppressed_at_start, suppressed_tokens, tokenizer_of

_REVISION: Final = 3
_ALIAS: Final = ("decoder/projection/weight", "decoder/embeddings/weight")

# What Whisper is among all the transformers that CTranslate2 runs: GELU, normed first, heads chosen by the caller.
_CONSTANTS: Final = {
    "decoder/activation": ("int8", 3),
    "decoder/alibi": ("int8", 0),
    "decoder/alibi_use_positive_positions": ("int8", 0),
    "decoder/alignment_heads": ("int16", 1),
    "decoder/alignment_layer": ("int16", -1),
    "decoder/pre_norm": ("int8", 1),
    "decoder/scale_alibi": ("int8", 0),
    "decoder/scale_embeddings": ("int8", 0),
    "decoder/start_from_zero_embedding": ("int8", 0),
}
_CODES: Final = {"int8": "b", "int16": "h"}
_TYPE_IDS: Final = {element.name: number for number, element in enumerate(ELEMENT_TYPES)}


@dataclass(frozen=True)
class _Stack:
    """The tensors that lie one below the other in one variable; zeros of this many numbers where there is no tensor."""

    parts: tuple[torch.Tensor | int, ...]


def write_ctranslate2_folder(checkpoint: Checkpoint, model: str, folder: Path) -> None:
    """Weights keep their float type. Raises BuildError for weights that are no Whisper model, or not with its vocabulary."""
    check_checkpoint(checkpoint)
    require_whispers_tokenizer(checkpoint)
    tokenizer = tokenizer_of(checkpoint.dims)
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(tokenizer, folder)
    vocabulary = json.loads((folder / "tokenizer.json").read_text())
    # faster-whisper asks a network for a tokenizer that is not there; of its files it reads this one only.
    for path in folder.iterdir():
        if path.name != "tokenizer.json":
            path.unlink()
    tokens = _tokens(vocabulary)
    _write_json(folder / "vocabulary.json", tokens)
    _write_json(
        folder / "config.json",
        {
            "alignment_heads": alignment_heads(checkpoint, model),
            "lang_ids": [tokenizer.to_language_token(code) for code in language_codes(checkpoint.dims)],
            "suppress_ids": suppressed_tokens(tokenizer),
            "suppress_ids_begin": suppressed_at_start(tokenizer),
        },
    )
    features = WhisperFeatureExtractor(feature_size=checkpoint.dims["n_mels"])
    features.save_pretrained(folder)
    with (folder / MODEL_FILENAME).open("wb") as file:
        write_model(checkpoint, file)


def write_model(checkpoint: Checkpoint, file: BinaryIO) -> None:
    """model.bin of a checkpoint."""
    dims = checkpoint.dims
    constants = _CONSTANTS | {
        "decoder/num_heads": ("int16", dims["n_text_head"]),
        "encoder/num_heads": ("int16", dims["n_audio_head"]),
    }
    stacks = _stacks(checkpoint)
    file.write(
        struct.pack("<I", BINARY_VERSION) + _text(SPECIFICATION) + struct.pack("<II", _REVISION, len(constants | stacks))
    )
    for name in sorted(constants | stacks):
        if name in constants:
            kind, value = constants[name]
            content = struct.pack(f"<{_CODES[kind]}", value)
            file.write(_head(name, (), kind, len(content)) + content)
        else:
            _write_stack(file, name, stacks[name])
    file.write(struct.pack("<I", 1) + b"".join(map(_text, _ALIAS)))


def _stacks(checkpoint: Checkpoint) -> dict[str, _Stack]:
    dims = checkpoint.dims
    layers = dims["n_audio_layer"], dims["n_text_layer"]
    placed: dict[str, dict[int, torch.Tensor | int]] = {}
    for name, rows in layout(*layers):
        placed.setdefault(rows.variable, {})[rows.index] = checkpoint.state[name]
    for rows in key_biases(*layers):
        placed.setdefault(rows.variable, {})[rows.index] = dims["n_audio_state"]
    return {name: _Stack(tuple(parts[index] for index in sorted(parts))) for name, parts in placed.items()}


def _write_stack(file: BinaryIO, name: str, stack: _Stack) -> None:
    tensors = [part for part in stack.parts if isinstance(part, torch.Tensor)]
    first = tensors[0]
    rows = sum(part if isinstance(part, int) else part.shape[0] for part in stack.parts)
    shape = (rows, *first.shape[1:])
    size_bytes = rows * first[0].numel() * first.element_size()
    file.write(_head(name, shape, str(first.dtype).removeprefix("torch."), size_bytes))
    for part in stack.parts:
        values = torch.zeros(part, dtype=first.dtype) if isinstance(part, int) else part.to(first.dtype)
        file.write(values.contiguous().view(torch.uint8).numpy().data)
        if isinstance(part, torch.Tensor):
            release([part])


def _head(name: str, shape: tuple[int, ...], kind: str, size_bytes: int) -> bytes:
    return _text(name) + struct.pack(f"<B{len(shape)}IBI", len(shape), *shape, _TYPE_IDS[kind], size_bytes)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<H", len(encoded) + 1) + encoded + b"\0"


def _tokens(tokenizer: dict[str, Any]) -> list[str]:
    """Every token in the order of its number."""
    numbered = dict(tokenizer["model"]["vocab"])
    numbered |= {entry["content"]: entry["id"] for entry in tokenizer["added_tokens"]}
    return sorted(numbered, key=numbered.__getitem__)


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
