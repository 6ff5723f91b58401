"""Writes a checkpoint as the folder that transformers' save_pretrained would leave.

The configuration files are transformers' own, filled from openai-whisper: its dimensions, its tokenizer, its suppressed tokens
and its alignment heads. So the folder is made without a network. What a fine-tuned model's own folder says goes before that:
its tokenizer is carried as it is, and its generation settings stand where it has any.
"""

import json
import shutil
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer as FastTokenizer
from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor
from whisper.tokenizer import LANGUAGES, Tokenizer

from model_build.checkpoint import Checkpoint
from model_build.errors import BuildError
from model_build.huggingface_names import to_huggingface
from model_build.huggingface_source import CONFIGURATION, GENERATION, TOKENIZER, TOKENIZER_FILES, read_json
from model_build.huggingface_tokenizer import write_tokenizer
from model_build.safetensors_file import write_safetensors
from model_build.vocabulary import (
    FIRST_MULTILINGUAL_VOCABULARY,
    alignment_heads,
    has_whispers_vocabulary,
    suppressed_at_start,
    suppressed_tokens,
    tokenizer_of,
)
from whisperstack_contract.weight_names import CONFIGURATION_OF_DIMENSIONS

_WEIGHTS: Final = "model.safetensors"

_FIRST_TIMESTAMP_LIMIT: Final = 50  # of 0.02 s; source: openai-whisper decoding.py, max_initial_timestamp

# What the engine reads, and a model with a vocabulary of its own must bring.
_NEEDED_SETTINGS: Final = (
    "begin_suppress_tokens", "decoder_start_token_id", "eos_token_id", "no_timestamps_token_id", "suppress_tokens",
)  # fmt: skip
# Settings that would force one language or task on every request; the engine says them itself.
_DROPPED_SETTINGS: Final = ("forced_decoder_ids", "language", "task")
# Of a configuration: where it came from, and code that would be run from there.
_DROPPED_CONFIGURATION: Final = ("_name_or_path", "auto_map", *_DROPPED_SETTINGS)


def write_huggingface_folder(checkpoint: Checkpoint, model: str, folder: Path) -> None:
    """model: its official name, which knows the alignment heads where the source says nothing of them.

    Weights keep their float type. Raises BuildError for weights that are no Whisper model.
    """
    state = {name: tensor.contiguous() for name, tensor in to_huggingface(checkpoint).items()}
    standard = tokenizer_of(checkpoint.dims) if has_whispers_vocabulary(checkpoint.dims) else None
    folder.mkdir(parents=True, exist_ok=True)
    _write_tokenizer(checkpoint, standard, folder)
    _write_configuration(checkpoint, standard, folder / CONFIGURATION)
    _write_settings(checkpoint, standard, model, folder)
    features = WhisperFeatureExtractor(feature_size=checkpoint.dims["n_mels"])
    features.save_pretrained(folder)
    write_safetensors(state, folder / _WEIGHTS)


def _write_tokenizer(checkpoint: Checkpoint, standard: Tokenizer | None, folder: Path) -> None:
    source = checkpoint.folder
    if source is not None and (source / TOKENIZER).is_file():
        try:
            FastTokenizer.from_file(str(source / TOKENIZER))
        except Exception as error:  # tokenizers raises nothing more special
            raise BuildError(f"{source / TOKENIZER} cannot be read ({error}); copy the model again") from error
        for name in TOKENIZER_FILES:
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)
    elif standard is not None:
        write_tokenizer(standard, folder)
    else:
        # Says how many tokens there are, and what can be done.
        tokenizer_of(checkpoint.dims)


def _write_configuration(checkpoint: Checkpoint, standard: Tokenizer | None, path: Path) -> None:
    if standard is not None:
        _configuration(checkpoint.dims, standard, checkpoint.float_type).save_pretrained(path.parent)
    own = {} if checkpoint.folder is None else read_json(checkpoint.folder / CONFIGURATION)
    content = (read_json(path) if standard is not None else {}) | {
        name: value for name, value in own.items() if name not in _DROPPED_CONFIGURATION
    }
    # transformers 4.x reads the float type under its older name.
    content |= {"dtype": checkpoint.float_type, "torch_dtype": checkpoint.float_type}
    _write_json(path, content)


def _write_settings(checkpoint: Checkpoint, standard: Tokenizer | None, model: str, folder: Path) -> None:
    path = folder / GENERATION
    source = None if checkpoint.folder is None else checkpoint.folder / GENERATION
    own = read_json(source) if source is not None and source.is_file() else {}
    if standard is not None:
        _generation(checkpoint, standard, model).save_pretrained(folder)
    elif missing := [name for name in _NEEDED_SETTINGS if own.get(name) is None]:
        raise BuildError(
            f"the model has a vocabulary of its own, and {source or 'it'} says no {missing[0]}; "
            "save the model's generation settings with it"
        )
    content = read_json(path) if standard is not None else {"alignment_heads": alignment_heads(checkpoint, model)}
    content |= {name: value for name, value in own.items() if value is not None and name not in _DROPPED_SETTINGS}
    _write_json(path, content)


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


def _generation(checkpoint: Checkpoint, tokenizer: Tokenizer, model: str) -> GenerationConfig:
    settings: dict[str, Any] = {
        "alignment_heads": alignment_heads(checkpoint, model),
        "begin_suppress_tokens": suppressed_at_start(tokenizer),
        "bos_token_id": tokenizer.eot,
        "decoder_start_token_id": tokenizer.sot,
        "eos_token_id": tokenizer.eot,
        "pad_token_id": tokenizer.eot,
        "is_multilingual": tokenizer.encoding.n_vocab >= FIRST_MULTILINGUAL_VOCABULARY,
        "max_initial_timestamp_index": _FIRST_TIMESTAMP_LIMIT,
        "max_length": checkpoint.dims["n_text_ctx"],
        "no_timestamps_token_id": tokenizer.no_timestamps,
        "prev_sot_token_id": tokenizer.sot_prev,
        "return_timestamps": False,
        "suppress_tokens": suppressed_tokens(tokenizer),
    }
    if settings["is_multilingual"]:
        codes = list(LANGUAGES)[: tokenizer.num_languages]
        settings["lang_to_id"] = {f"<|{code}|>": tokenizer.to_language_token(code) for code in codes}
        settings["task_to_id"] = {"transcribe": tokenizer.transcribe, "translate": tokenizer.translate}
    return GenerationConfig(**settings)


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n")
