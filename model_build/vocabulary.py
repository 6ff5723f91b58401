"""What openai-whisper knows of a model beside its weights: tokenizer, suppressed tokens, languages, alignment heads."""

import base64
import gzip
from typing import Any, Final

import numpy as np
import whisper
from whisper.tokenizer import LANGUAGES, Tokenizer, get_tokenizer

from model_build.checkpoint import Checkpoint
from model_build.errors import BuildError

# Source: openai-whisper model.py, Whisper.is_multilingual and num_languages.
FIRST_MULTILINGUAL_VOCABULARY: Final = 51_865
_VOCABULARY_WITHOUT_LANGUAGES: Final = 51_765


def has_whispers_vocabulary(dims: dict[str, int]) -> bool:
    """Whether this is a number of tokens that OpenAI's own models have."""
    return 0 < _n_languages(dims) <= len(LANGUAGES)


def tokenizer_of(dims: dict[str, int]) -> Tokenizer:
    """openai-whisper's tokenizer for a model of these dimensions. Raises BuildError for another vocabulary."""
    if not has_whispers_vocabulary(dims):
        raise BuildError(
            f"the vocabulary has {dims['n_vocab']} tokens; Whisper's have 51864 (English only), 51865 or 51866; "
            "give such a model as its save_pretrained folder, with tokenizer.json, for the engine huggingface"
        )
    return get_tokenizer(dims["n_vocab"] >= FIRST_MULTILINGUAL_VOCABULARY, num_languages=_n_languages(dims))


def _n_languages(dims: dict[str, int]) -> int:
    return dims["n_vocab"] - _VOCABULARY_WITHOUT_LANGUAGES - int(dims["n_vocab"] >= FIRST_MULTILINGUAL_VOCABULARY)


def language_codes(dims: dict[str, int]) -> list[str]:
    """What the model was taught to hear, in the order of its tokens."""
    if dims["n_vocab"] < FIRST_MULTILINGUAL_VOCABULARY:
        return ["en"]
    return list(LANGUAGES)[: _n_languages(dims)]


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


def suppressed_at_start(tokenizer: Tokenizer) -> list[int]:
    """What may not be said first: a space, or nothing at all. Source: openai-whisper decoding.py, SuppressBlank."""
    return [*tokenizer.encode(" "), tokenizer.eot]


def alignment_heads(checkpoint: Checkpoint, model: str) -> list[list[int]]:
    """[layer, head] of the cross-attention that follows the audio: the source's own, or the official model's of that name.

    Of any other the heads of the decoder's upper half. Source: openai-whisper __init__.py and model.py.
    """
    layers, heads = checkpoint.dims["n_text_layer"], checkpoint.dims["n_text_head"]
    if checkpoint.alignment_heads is not None:
        return [list(pair) for pair in checkpoint.alignment_heads]
    mask = np.zeros((layers, heads), dtype=bool)
    mask[layers // 2 :] = True
    if dump := whisper._ALIGNMENT_HEADS.get(model):
        known = np.frombuffer(gzip.decompress(base64.b85decode(dump)), dtype=bool)
        if known.size == mask.size:
            mask = known.reshape(layers, heads)
    return [[int(layer), int(head)] for layer, head in np.argwhere(mask)]


def read_alignment_heads(value: object, dims: dict[str, int], what: str) -> tuple[tuple[int, int], ...] | None:
    """Pairs as a configuration file has them. Raises BuildError for heads that the model does not have."""
    if value is None:
        return None
    layers, heads = dims["n_text_layer"], dims["n_text_head"]
    pairs: list[Any] = value if isinstance(value, list) else [value]
    for pair in pairs:
        numbers = pair if isinstance(pair, list) and len(pair) == 2 else [None, None]
        for number, limit in zip(numbers, (layers, heads), strict=True):
            if not isinstance(number, int) or not 0 <= number < limit:
                raise BuildError(
                    f"{what} names the alignment head {pair!r}; "
                    f"the decoder has {layers} layers of {heads} heads, counted from 0"
                )
    return tuple((int(layer), int(head)) for layer, head in pairs) or None
