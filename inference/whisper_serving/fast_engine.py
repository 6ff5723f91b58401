"""Runs an openai-whisper checkpoint fast: windows side by side, in the numbers that the processor is quickest with."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from whisper_serving.alignment_heads import read_alignment_heads
from whisper_serving.batched_recognition import MOST_ROWS, BatchedRecogniser, Hearing
from whisper_serving.devices import choose_device
from whisper_serving.fast_linear import Precision
from whisper_serving.fast_model import PROMPT_SHARE, FastModel
from whisper_serving.hardware_failures import retry_with_less_memory
from whisper_serving.log_mel import LogMel
from whisper_serving.long_form import HeardSegment, given_prompt
from whisper_serving.option_check import ENGLISH, check_against_model
from whisper_serving.recognition import Recognition
from whisper_serving.speech import Span
from whisper_serving.speech_windows import cut_into_windows
from whisper_serving.weights import checked_weights, read_manifest
from whisper_serving.word_alignment import Aligner
from whisper_serving.word_bounds import SpokenSegment, bounded_words
from whisperstack_contract.artefact import ArchiveManifest
from whisperstack_contract.errors import ModelUnavailableError
from whisperstack_contract.options import Task, TranscriptionOptions

# Windows at once, where memory is short.
_ROWS_TO_TRY: Final = (MOST_ROWS, MOST_ROWS // 4, 1)


class FastEngine:
    """One copy of the model. only_language: 'en' for an English-only model, else None."""

    def __init__(self, model: FastModel, heads: Sequence[tuple[int, int]], manifest: ArchiveManifest) -> None:
        self.engine = manifest.engine
        self.model = manifest.model
        self.weights, self._heads = model, heads
        self._languages = model.tokenizer.languages or (ENGLISH,)
        self.only_language = None if model.tokenizer.languages else ENGLISH

    @classmethod
    def load(cls, model_folder: Path, hardware: str | None) -> "FastEngine":
        """Raises ModelUnavailableError where weights or manifest are missing, or not what was built."""
        manifest, device = read_manifest(model_folder), choose_device(hardware)
        with checked_weights(model_folder, manifest) as path:
            checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        try:
            with torch.inference_mode():
                model = FastModel.from_checkpoint(checkpoint, Precision.best_for(device))
            heads = read_alignment_heads(model_folder, checkpoint["dims"])
        except (KeyError, TypeError, RuntimeError) as error:
            raise ModelUnavailableError(f"{manifest.weights!r} is no openai-whisper checkpoint: {error}") from error
        return cls(model, heads, manifest)

    def check_options(self, options: TranscriptionOptions) -> None:
        check_against_model(options, self.model, self._languages)

    def recognise(self, samples: NDArray[np.float32], options: TranscriptionOptions, speech: Sequence[Span]) -> Recognition:
        return retry_with_less_memory(lambda most_rows: self._recognise(samples, options, speech, most_rows), _ROWS_TO_TRY)

    @torch.inference_mode()
    def _recognise(
        self, samples: NDArray[np.float32], options: TranscriptionOptions, speech: Sequence[Span], most_rows: int
    ) -> Recognition:
        mel = LogMel(samples, self.weights.filters)
        windows = cut_into_windows(samples, speech)
        language, probability = options.language or self.only_language, None
        if language is None:
            language, probability = self.weights.detect_language(self.weights.encode(mel, windows[0]))
        start = self._start(language, options.task)
        recogniser = BatchedRecogniser(self.weights, mel, [*self._prompt(options), *start], options, most_rows)
        heard: list[HeardSegment] = []
        spoken: list[SpokenSegment] = []
        for batch in recogniser.hear(windows):
            for hearing in batch:
                found = recogniser.segments_of(hearing)
                heard += found
                if options.word_timestamps and found:
                    spoken += self._aligner(hearing, start, language).words_of(found)
        heard.sort(key=lambda found: found.window)
        segments = [replace(found.segment, id=number) for number, found in enumerate(heard)]
        if not options.word_timestamps:
            return Recognition(language, segments, None, probability)
        spoken.sort(key=lambda found: found.heard.window)
        return Recognition(language, segments, list(bounded_words(spoken)), probability)

    def _start(self, language: str, task: Task) -> list[int]:
        """The start-of-transcript sequence."""
        known = self.weights.tokenizer.vocabulary
        if not known.languages:
            return [known.start_of_transcript]
        what = known.translate if task is Task.TRANSLATE else known.transcribe
        return [known.start_of_transcript, known.languages[language], what]

    def _prompt(self, options: TranscriptionOptions) -> list[int]:
        """Before every window: no window waits for what was said in the one before."""
        given = given_prompt(self.weights.tokenizer, options)
        room = self.weights.decoder.n_text // PROMPT_SHARE - 1
        return [self.weights.tokenizer.vocabulary.start_of_previous, *given[-room:]] if given else []

    def _aligner(self, hearing: Hearing, start: Sequence[int], language: str) -> Aligner:
        model = self.weights
        return Aligner(
            lambda tokens, _: model.decoder.attend(hearing.sound, tokens, self._heads),
            start,
            model.tokenizer.vocabulary,
            model.tokenizer,
            language,
        )
