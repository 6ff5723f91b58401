"""Reads a save_pretrained folder of Whisper without transformers, whose import takes longer than all the rest of a start."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer

from whisper_serving.alignment_heads import check_heads
from whisper_serving.checkpoint import Checkpoint
from whisper_serving.huggingface_tokenizer import HuggingFaceTokenizer
from whisper_serving.token_rules import Vocabulary
from whisper_serving.weights import checked_weights
from whisperstack_contract.artefact import ArchiveManifest
from whisperstack_contract.errors import ModelUnavailableError
from whisperstack_contract.variables import EXACT, FAST, NUMERICS
from whisperstack_contract.weight_names import OUTPUT_PROJECTION, dimensions_of, openai_name

_Kind = TypeVar("_Kind")

_SETTINGS: Final = "generation_config.json"
_CONFIGURATION: Final = "config.json"

# WhisperConfig may ask for other arithmetic than openai-whisper's. No official model does.
_ARITHMETIC: Final = {"activation_function": "gelu", "scale_embedding": False}


def read_huggingface_checkpoint(folder: Path, manifest: ArchiveManifest) -> Checkpoint:
    """Weights are mapped into memory. Raises ModelUnavailableError where the folder is not whole, or no Whisper model's."""
    try:
        configuration = _read_json(folder / _CONFIGURATION)
        _check_arithmetic(configuration)
        tokenizer, heads = read_settings(folder)
        with checked_weights(folder, manifest) as path:
            stored = load_file(path)
        state = {openai_name(name): tensor for name, tensor in stored.items() if name != OUTPUT_PROJECTION}
        return Checkpoint(dimensions_of(configuration), state, tokenizer, heads)
    except (OSError, TypeError, ValueError, SafetensorError) as error:
        raise ModelUnavailableError(f"the archive holds no Whisper model that can be loaded: {error}") from error


def read_settings(folder: Path) -> tuple[HuggingFaceTokenizer, Sequence[tuple[int, int]]]:
    """The tokenizer, and the (layer, head) of the cross-attention that follows the audio.

    Raises OSError, TypeError or ValueError where the folder does not say them.
    """
    settings, dims = _read_json(folder / _SETTINGS), dimensions_of(_read_json(folder / _CONFIGURATION))
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # The package raises plain Exception, whether the file is missing or wrong. Its text goes on to whoever asks.
    except Exception as error:
        raise ValueError(f"tokenizer.json cannot be read: {error}") from error
    heads = _setting_as(lambda pairs: [(int(layer), int(head)) for layer, head in pairs], settings, "alignment_heads")
    check_heads(heads, dims)
    vocabulary = _vocabulary(tokenizer, settings)
    if strange := [token for token in _all_tokens(vocabulary) if not 0 <= token < dims["n_vocab"]]:
        raise ValueError(
            f"{_SETTINGS} or the tokenizer name the token {strange[0]}; the model has {dims['n_vocab']}, counted from 0; "
            "build the archive again"
        )
    return HuggingFaceTokenizer(vocabulary, tokenizer), heads


def _check_arithmetic(configuration: Mapping[str, Any]) -> None:
    for name, wanted in _ARITHMETIC.items():
        if (found := configuration.get(name, wanted)) != wanted:
            raise ValueError(
                f"{name} in {_CONFIGURATION} is {found!r}; set {NUMERICS} to {EXACT}: {FAST} knows only {wanted!r}"
            )


def _vocabulary(tokenizer: Tokenizer, settings: Mapping[str, Any]) -> Vocabulary:
    no_timestamps = _setting_as(int, settings, "no_timestamps_token_id")
    return Vocabulary(
        end_of_text=_setting_as(_one_token, settings, "eos_token_id"),
        start_of_transcript=_setting_as(_one_token, settings, "decoder_start_token_id"),
        start_of_previous=_token(tokenizer, "<|startofprev|>"),
        no_speech=no_timestamps - 1,
        no_timestamps=no_timestamps,
        first_timestamp=no_timestamps + 1,
        transcribe=_token(tokenizer, "<|transcribe|>"),
        translate=_token(tokenizer, "<|translate|>"),
        languages=_setting_as(_languages, settings, "lang_to_id") if "lang_to_id" in settings else {},
        suppressed=_setting_as(_tokens, settings, "suppress_tokens"),
        suppressed_at_start=_setting_as(_tokens, settings, "begin_suppress_tokens"),
    )


def _all_tokens(vocabulary: Vocabulary) -> Iterator[int]:
    yield from (vocabulary.end_of_text, vocabulary.start_of_transcript, vocabulary.start_of_previous)
    yield from (vocabulary.no_speech, vocabulary.first_timestamp, vocabulary.transcribe, vocabulary.translate)
    yield from (*vocabulary.languages.values(), *vocabulary.suppressed, *vocabulary.suppressed_at_start)


def _languages(values: Any) -> dict[str, int]:
    return {name.strip("<|>"): int(token) for name, token in dict(values).items()}


def _one_token(value: Any) -> int:
    """transformers also writes a list of one."""
    return int(value[0]) if isinstance(value, list) and len(value) == 1 else int(value)


def _tokens(values: Any) -> tuple[int, ...]:
    return tuple(map(int, values))


def _setting_as(kind: Callable[[Any], _Kind], settings: Mapping[str, Any], name: str) -> _Kind:
    value = settings.get(name)
    try:
        return kind(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} in {_SETTINGS} is {value!r}, which Whisper's never is; build the archive again") from error


def _token(tokenizer: Tokenizer, name: str) -> int:
    number = tokenizer.token_to_id(name)
    if number is None:
        raise ValueError(f"tokenizer.json has no token {name}")
    return int(number)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path.name} is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise TypeError(f"{path.name} is no JSON object")
    return values
