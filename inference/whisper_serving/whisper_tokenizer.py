"""openai-whisper's tokenizer, without importing its package.

`import whisper` also loads numba, which takes longer than loading the model.
"""

import importlib.util
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from whisper_serving.token_rules import Vocabulary

_MODULE: Final = "whisper_serving.openai_whisper_tokenizer"


class WhisperTokenizer:
    """n_vocab: of the checkpoint, which tells English-only models from multilingual ones, and how many languages these know."""

    def __init__(self, n_vocab: int) -> None:
        module = _tokenizer_module()
        multilingual = n_vocab >= _MULTILINGUAL_VOCABULARY
        n_languages = n_vocab - _TOKENS_BESIDE_LANGUAGES - int(multilingual)
        self._tokenizer: Any = module.get_tokenizer(multilingual, num_languages=n_languages)
        self.vocabulary = self._vocabulary(tuple(module.LANGUAGES)[:n_languages] if multilingual else ())

    def text_of(self, tokens: Sequence[int]) -> str:
        """Of the words among the tokens."""
        return str(self._tokenizer.encoding.decode([token for token in tokens if token < self.vocabulary.end_of_text]))

    def tokens_of(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text))

    def _vocabulary(self, languages: Sequence[str]) -> Vocabulary:
        known = self._tokenizer
        special = (known.transcribe, known.translate, known.sot, known.sot_prev, known.sot_lm, known.no_speech)
        return Vocabulary(
            end_of_text=known.eot,
            start_of_transcript=known.sot,
            start_of_previous=known.sot_prev,
            no_speech=known.no_speech,
            no_timestamps=known.no_timestamps,
            first_timestamp=known.timestamp_begin,
            transcribe=known.transcribe,
            translate=known.translate,
            languages={code: known.special_tokens[f"<|{code}|>"] for code in languages},
            # Source: openai-whisper decoding.py, DecodingTask._get_suppress_tokens and SuppressBlank.
            suppressed=sorted({*known.non_speech_tokens, *special}),
            suppressed_at_start=(*known.encode(" "), known.eot),
        )


# Source: openai-whisper model.py, Whisper.is_multilingual and num_languages.
_MULTILINGUAL_VOCABULARY: Final = 51_865
_TOKENS_BESIDE_LANGUAGES: Final = 51_765


def package_folder() -> Path:
    found = importlib.util.find_spec("whisper")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("openai-whisper is not installed")
    return Path(found.origin).parent


@cache
def _tokenizer_module() -> ModuleType:
    """whisper/tokenizer.py by itself: it needs nothing else of its package."""
    specification = importlib.util.spec_from_file_location(_MODULE, package_folder() / "tokenizer.py")
    if specification is None or specification.loader is None:
        raise ModuleNotFoundError("openai-whisper has no tokenizer.py")
    module = importlib.util.module_from_spec(specification)
    # Its dataclass looks for the module by name.
    sys.modules[_MODULE] = module
    specification.loader.exec_module(module)
    return module
