"""Writes a checkpoint as the folder that transformers' save_pretrained would leave.

The configuration files are transformers' own, filled from openai-whisper: its dimensions, its tokenizer, its suppressed tokens
and its alignment heads. So the folder is made without a network, for fine-tuned weights as well.
"""

import base64
import gzip
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import whisper
from safetensors.torch import save_file
from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor
from whisper.tokenizer import LANGUAGES, Tokenizer, get_tokenizer

from model_build.checkpoint import Checkpoint
from model_build.errors import BuildError
from model_build.huggingface_names import CONFIGURATION_OF_DIMENSIONS, to_huggingface
from model_build.huggingface_tokenizer import write_tokenizer

_WEIGHTS: Final = "model.safetensors"

# Source: openai-whisper model.py, Whisper.is_multilingual and num_languages.
_FIRST_MULTILINGUAL_VOCABULARY: Final = 51_865
_VOCABULARY_WITHOUT_LANGUAGES: Final = 51_765

_FIRST_TIMESTAMP_LIMIT: Final = 50  # of 0.02 s; source: openai-whisper decoding.py, max_initial_timestamp


def write_huggingface_folder(checkpoint: Checkpoint, model: str, folder: Path) -> None:
    """model: its official name, which knows the alignment heads; of others the upper half of the decoder's heads is taken.

    Weights keep their float type. Raises BuildError for weights that are no Whisper model.
    """
    tokenizer = tokenizer_of(checkpoint.dims)
    float_type = str(checkpoint.state["decoder.token_embedding.weight"].dtype).removeprefix("torch.")
    folder.mkdir(parents=True, exist_ok=True)
    _configuration(checkpoint.dims, tokenizer, float_type).save_pretrained(folder)
    _generation(checkpoint.dims, tokenizer, model).save_pretrained(folder)
    features = WhisperFeatureExtractor(feature_size=checkpoint.dims["n_mels"])  # type: ignore[no-untyped-call]
    features.save_pretrained(folder)
    write_tokenizer(tokenizer, folder)
    # transformers 4.x reads the float type under its older name.
    _add_to_json(folder / "config.json", {"torch_dtype": float_type})
    state = {name: tensor.contiguous() for name, tensor in to_huggingface(checkpoint).items()}
    save_file(state, folder / _WEIGHTS, metadata={"format": "pt"})


def tokenizer_of(dims: dict[str, int]) -> Tokenizer:
    """openai-whisper's tokenizer for a model of these dimensions. Raises BuildError for another vocabulary."""
    multilingual = dims["n_vocab"] >= _FIRST_MULTILINGUAL_VOCABULARY
    languages = dims["n_vocab"] - _VOCABULARY_WITHOUT_LANGUAGES - int(multilingual)
    if not 0 < languages <= len(LANGUAGES):
        raise BuildError(
            f"the vocabulary has {dims['n_vocab']} tokens; Whisper's have 51864 (English), 51865 (99 languages) or 51866 (100)"
        )
    return get_tokenizer(multilingual, num_languages=languages)


def _configuration(dims: dict[str, int], tokenizer: Tokenizer, float_type: str) -> WhisperConfig:
    dimensions: dict[str, Any] = {its_name: dims[name] for name, its_name in CONFIGURATION_OF_DIMENSIONS.items()}
    return WhisperConfig(
        **dimensions,
        encoder_ffn_dim=4 * dims["n_audio_state"],
        decoder_ffn_dim=4 * dims["n_text_state"],
        architectures=["WhisperForConditionalGeneration"],
        dtype=float_type,
        bos_token_id=tokenizer.eot,
        eos_token_id=tokenizer.eot,
        pad_token_id=tokenizer.eot,
        decoder_start_token_id=tokenizer.sot,
    )


def _generation(dims: dict[str, int], tokenizer: Tokenizer, model: str) -> GenerationConfig:
    settings: dict[str, Any] = {
        "alignment_heads": alignment_heads(dims, model),
        "begin_suppress_tokens": [*tokenizer.encode(" "), tokenizer.eot],
        "bos_token_id": tokenizer.eot,
        "decoder_start_token_id": tokenizer.sot,
        "eos_token_id": tokenizer.eot,
        "pad_token_id": tokenizer.eot,
        "is_multilingual": tokenizer.encoding.n_vocab >= _FIRST_MULTILINGUAL_VOCABULARY,
        "max_initial_timestamp_index": _FIRST_TIMESTAMP_LIMIT,
        "max_length": dims["n_text_ctx"],
        "no_timestamps_token_id": tokenizer.no_timestamps,
        "prev_sot_token_id": tokenizer.sot_prev,
        "return_timestamps": False,
        "suppress_tokens": suppressed_tokens(tokenizer),
    }
    if settings["is_multilingual"]:
        codes = list(LANGUAGES)[: tokenizer.num_languages]
        settings["lang_to_id"] = {f"<|{code}|>": tokenizer.to_language_token(code) for code in codes}
        settings["task_to_id"] = {"transcribe": tokenizer.transcribe, "translate": tokenizer.translate}
    return GenerationConfig(**settings)  # type: ignore[no-untyped-call]


def suppressed_tokens(tokenizer: Tokenizer) -> list[int]:
    """What may never be said. Source: openai-whisper decoding.py, DecodingTask._get_suppress_tokens."""
    special = [
        tokenizer.transcribe,
        tokenizer.translate,
        tokenizer.sot,
        tokenizer.sot_prev,
        tokenizer.sot_lm,
        tokenizer.no_speech,
    ]
    return sorted({*tokenizer.non_speech_tokens, *special})


def alignment_heads(dims: dict[str, int], model: str) -> list[list[int]]:
    """[layer, head] of the cross-attention that follows the audio. Source: openai-whisper __init__.py and model.py."""
    layers, heads = dims["n_text_layer"], dims["n_text_head"]
    mask = np.zeros((layers, heads), dtype=bool)
    mask[layers // 2 :] = True
    if dump := whisper._ALIGNMENT_HEADS.get(model):
        known = np.frombuffer(gzip.decompress(base64.b85decode(dump)), dtype=bool)
        if known.size == mask.size:
            mask = known.reshape(layers, heads)
    return [[int(layer), int(head)] for layer, head in np.argwhere(mask)]


def _add_to_json(path: Path, values: dict[str, Any]) -> None:
    content = json.loads(path.read_text()) | values
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
