"""Whether a model can do what a request asks for."""

from collections.abc import Collection
from typing import Final

from whisperstack_contract.errors import InvalidOptionsError
from whisperstack_contract.options import Task, TranscriptionOptions

ENGLISH: Final = "en"


def check_against_model(options: TranscriptionOptions, model: str, languages: Collection[str]) -> None:
    """languages: the codes that the model knows; English alone means that it cannot translate. Raises InvalidOptionsError."""
    if options.task is Task.TRANSLATE and set(languages) == {ENGLISH}:
        raise InvalidOptionsError(
            f"task is {str(options.task)!r}; {model} knows English only and cannot translate; "
            f"use {str(Task.TRANSCRIBE)!r} or a multilingual model"
        )
    if options.language is not None and options.language not in languages:
        raise InvalidOptionsError(f"language is {options.language!r}; {model} knows: {', '.join(languages)}")
