"""Runs an openai-whisper checkpoint with openai-whisper's own loop over the recording, to the letter."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from whisper.audio import mel_filters
from whisper.model import ModelDimensions, Whisper
from whisper.tokenizer import LANGUAGES

from whisper_serving.alignment_heads import read_alignment_heads
from whisper_serving.devices import choose_device
from whisper_serving.hardware_failures import retry_with_less_memory
from whisper_serving.log_mel import FRAMES_PER_SECOND, LogMel
from whisper_serving.option_check import ENGLISH, check_against_model
from whisper_serving.original_loop import transcribe_windows
from whisper_serving.recognition import Recognition
from whisper_serving.speech import Span, stretches
from whisper_serving.weights import checked_weights, read_manifest
from whisper_serving.window_decoding import CANDIDATES_WHEN_SAMPLING, rows_to_try
from whisperstack_contract.artefact import ArchiveManifest
from whisperstack_contract.errors import ModelUnavailableError
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.transcript import Segment, Word
from whisperstack_contract.variables import EXACT


class PytorchEngine:
    """One copy of the model, on the GPU if there is one. only_language: 'en' for an English-only model, else None."""

    def __init__(self, model: Whisper, manifest: ArchiveManifest) -> None:
        self.engine, self.model, self.numerics = manifest.engine, manifest.model, EXACT
        self.only_language = None if model.is_multilingual else ENGLISH
        self._languages = tuple(LANGUAGES)[: model.num_languages] if model.is_multilingual else (ENGLISH,)
        self._model = model

    @classmethod
    def load(cls, model_folder: Path, hardware: str | None) -> "PytorchEngine":
        """Raises ModelUnavailableError where weights or manifest are missing, or not what was built."""
        manifest, device = read_manifest(model_folder), choose_device(hardware)
        with checked_weights(model_folder, manifest) as path:
            checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        try:
            model = Whisper(ModelDimensions(**checkpoint["dims"]))
            model.load_state_dict(checkpoint["model_state_dict"])
            _use_heads(model, read_alignment_heads(model_folder, checkpoint["dims"]))
        except (KeyError, TypeError, RuntimeError) as error:
            raise ModelUnavailableError(f"{manifest.weights!r} is no openai-whisper checkpoint: {error}") from error
        return cls(model.to(device).eval(), manifest)

    def check_options(self, options: TranscriptionOptions) -> None:
        check_against_model(options, self.model, self._languages)

    def recognise(self, samples: NDArray[np.float32], options: TranscriptionOptions, speech: Sequence[Span]) -> Recognition:
        return retry_with_less_memory(
            lambda most_rows: self._recognise(samples, options, speech, most_rows), rows_to_try(options)
        )

    def _recognise(
        self, samples: NDArray[np.float32], options: TranscriptionOptions, speech: Sequence[Span], most_rows: int
    ) -> Recognition:
        # Where decoding falls back to sampling, the same recording still gives the same text.
        torch.manual_seed(0)
        mel = LogMel(samples, mel_filters("cpu", self._model.dims.n_mels))
        # transcribe() would go on for ever at a clip that ends after its last frame.
        seconds = mel.n_frames / FRAMES_PER_SECOND
        listen = stretches([Span(min(span.start, seconds), min(span.end, seconds)) for span in speech], seconds)
        language, probability = options.language or self.only_language, None
        if language is None:
            language, probability = self._detect_language(mel.window(mel.frame_at(listen[0].start)))
        result = transcribe_windows(
            self._model,
            samples,
            mel,
            language=language,
            task=str(options.task),
            clip_timestamps=[time for span in listen for time in span],
            initial_prompt=_prompt(options),
            # Names and terms may come at any time, what was said before the recording only before it.
            carry_initial_prompt=options.hotwords is not None,
            temperature=options.temperature,
            beam_size=None if options.beam_size is None else min(options.beam_size, most_rows),
            best_of=min(CANDIDATES_WHEN_SAMPLING, most_rows),
            word_timestamps=options.word_timestamps,
            fp16=self._model.device.type == "cuda",
        )
        words = [_words(segment) for segment in result["segments"]] if options.word_timestamps else None
        return Recognition(language, [_segment(*numbered) for numbered in enumerate(result["segments"])], words, probability)

    def _detect_language(self, mel: torch.Tensor) -> tuple[str, float]:
        """(code, probability) of the language in float32 [n_mels, 3000]: the first window with speech, whatever precedes it."""
        _, probabilities = self._model.detect_language(mel.to(self._model.device))
        language = max(probabilities, key=probabilities.__getitem__)
        return language, float(probabilities[language])


def _use_heads(model: Whisper, heads: Sequence[tuple[int, int]]) -> None:
    """As openai-whisper's load_model does for its official models, so that words are timed by the heads that follow them."""
    mask = torch.zeros(model.dims.n_text_layer, model.dims.n_text_head, dtype=torch.bool)
    mask[tuple(torch.tensor(heads).T)] = True
    model.register_buffer("alignment_heads", mask.to_sparse(), persistent=False)


def _prompt(options: TranscriptionOptions) -> str | None:
    return " ".join(part.strip() for part in (options.hotwords, options.initial_prompt) if part and part.strip()) or None


def _words(segment: dict[str, Any]) -> list[Word]:
    return [
        Word(word["word"], float(word["start"]), float(word["end"]), float(word["probability"])) for word in segment["words"]
    ]


def _segment(number: int, values: dict[str, Any]) -> Segment:
    return Segment(
        id=number,
        start=float(values["start"]),
        end=float(values["end"]),
        text=values["text"],
        avg_logprob=float(values["avg_logprob"]),
        compression_ratio=float(values["compression_ratio"]),
        no_speech_prob=float(values["no_speech_prob"]),
        temperature=float(values["temperature"]),
    )
