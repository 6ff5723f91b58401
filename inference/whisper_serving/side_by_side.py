"""A recording as windows side by side."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from whisper_serving.batched_recognition import BatchedRecogniser
from whisper_serving.fast_model import FastModel
from whisper_serving.hardware_failures import retry_with_less_memory
from whisper_serving.log_mel import LogMel
from whisper_serving.long_form import HeardSegment, given_prompt
from whisper_serving.recognition import Recognition
from whisper_serving.speech import Span
from whisper_serving.speech_windows import cut_into_windows
from whisper_serving.token_rules import Vocabulary
from whisper_serving.window_decoding import PROMPT_SHARE
from whisper_serving.word_alignment import Aligner
from whisper_serving.word_bounds import SpokenSegment, bounded_words
from whisperstack_contract.options import Task, TranscriptionOptions


def recognise_side_by_side(
    model: FastModel,
    samples: NDArray[np.float32],
    options: TranscriptionOptions,
    speech: Sequence[Span],
    only_language: str | None,
    chunk_length_seconds: float,
) -> Recognition:
    """samples: float32 [n], 16 kHz. speech: where to listen. only_language: of a model that knows one only.

    chunk_length_seconds: the most sound in one window.

    Raises OutOfMemoryError, InferenceTimedOutError.
    """
    return retry_with_less_memory(
        lambda most_rows: _recognise(model, samples, options, speech, only_language, chunk_length_seconds, most_rows),
        (model.most_rows, model.most_rows // 4, 1),
    )


@torch.inference_mode()
def _recognise(
    model: FastModel,
    samples: NDArray[np.float32],
    options: TranscriptionOptions,
    speech: Sequence[Span],
    only_language: str | None,
    chunk_length_seconds: float,
    most_rows: int,
) -> Recognition:
    mel = LogMel(samples, model.filters)
    windows = cut_into_windows(samples, speech, chunk_length_seconds)
    language, probability = options.language or only_language, None
    if language is None:
        language, probability = model.detect_language(model.encode(mel, windows[0]))
    start = _start(model.tokenizer.vocabulary, language, options.task)
    recogniser = BatchedRecogniser(model, mel, [*_prompt(model, options), *start], options, most_rows)
    heard: list[HeardSegment] = []
    spoken: list[SpokenSegment] = []
    for hearing in recogniser.hear(windows):
        found = recogniser.segments_of(hearing)
        heard += found
        if options.word_timestamps and found:
            spoken += _aligner(model, hearing.sound, start, language).words_of(found)
    heard.sort(key=lambda found: found.window)
    segments = [replace(found.segment, id=number) for number, found in enumerate(heard)]
    if not options.word_timestamps:
        return Recognition(language, segments, None, probability)
    spoken.sort(key=lambda found: found.heard.window)
    return Recognition(language, segments, list(bounded_words(spoken)), probability)


def _start(known: Vocabulary, language: str, task: Task) -> list[int]:
    """The start-of-transcript sequence."""
    if not known.languages:
        return [known.start_of_transcript]
    what = known.translate if task is Task.TRANSLATE else known.transcribe
    return [known.start_of_transcript, known.languages[language], what]


def _prompt(model: FastModel, options: TranscriptionOptions) -> list[int]:
    """Before every window: no window waits for what was said in the one before."""
    given = given_prompt(model.tokenizer, options)
    room = model.n_text // PROMPT_SHARE - 1
    return [model.tokenizer.vocabulary.start_of_previous, *given[-room:]] if given else []


def _aligner(model: FastModel, sound: torch.Tensor, start: Sequence[int], language: str) -> Aligner:
    tokenizer = model.tokenizer
    return Aligner(lambda tokens, _: model.attend(sound, tokens), start, tokenizer.vocabulary, tokenizer, language)
