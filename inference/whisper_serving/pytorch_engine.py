"""Runs an openai-whisper checkpoint with openai-whisper's own loop over the recording, to the letter."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from whisper.audio import (
    FRAMES_PER_SECOND,
    HOP_LENGTH,
    N_FRAMES,
    N_SAMPLES,
    SAMPLE_RATE,
    log_mel_spectrogram,
    pad_or_trim,
)
from whisper.model import ModelDimensions, Whisper
from whisper.tokenizer import LANGUAGES

from whisper_serving.devices import choose_device
from whisper_serving.hardware_failures import retry_with_less_memory
from whisper_serving.option_check import ENGLISH, check_against_model
from whisper_serving.speech import Span, stretches
from whisper_serving.transcriber import Recognition
from whisper_serving.weights import checked_weights, read_manifest
from whisper_serving.window_decoding import CANDIDATES_WHEN_SAMPLING, rows_to_try
from whisperstack_contract.artefact import ArchiveManifest
from whisperstack_contract.errors import ModelUnavailableError
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.transcript import Segment, Word


class PytorchEngine:
    """One copy of the model, on the GPU if there is one. only_language: 'en' for an English-only model, else None."""

    def __init__(self, model: Whisper, manifest: ArchiveManifest) -> None:
        self.engine = manifest.engine
        self.model = manifest.model
        self.only_language = None if model.is_multilingual else ENGLISH
        self._languages = tuple(LANGUAGES)[: model.num_languages] if model.is_multilingual else (ENGLISH,)
        self._model = model

    @classmethod
    def load(cls, model_folder: Path, hardware: str | None) -> "PytorchEngine":
        """Raises ModelUnavailableError where weights or manifest are missing, or not what was built."""
        manifest, device = read_manifest(model_folder), choose_device(hardware)
        with checked_weights(model_folder, manifest) as file:
            checkpoint = torch.load(file, map_location="cpu", weights_only=True)
        try:
            model = Whisper(ModelDimensions(**checkpoint["dims"]))
            model.load_state_dict(checkpoint["model_state_dict"])
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
        # transcribe() would go on for ever at a clip that ends after its last frame.
        seconds = len(samples) // HOP_LENGTH / FRAMES_PER_SECOND
        listen = stretches([Span(min(span.start, seconds), min(span.end, seconds)) for span in speech], seconds)
        language, probability = options.language or self.only_language, None
        if language is None:
            language, probability = self._detect_language(samples, listen)
        result = self._model.transcribe(
            samples,
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
        duration = len(samples) / SAMPLE_RATE
        segments = [_segment(number, values, duration) for number, values in enumerate(result["segments"])]
        words = _words(result["segments"]) if options.word_timestamps else None
        return Recognition(language, segments, words, probability)

    def _detect_language(self, samples: NDArray[np.float32], listen: Sequence[Span]) -> tuple[str, float]:
        """(code, probability) of the language in the first window with speech, whatever precedes it."""
        first = samples[round(listen[0].start * SAMPLE_RATE) :][:N_SAMPLES] if listen else samples
        mel = pad_or_trim(log_mel_spectrogram(first, self._model.dims.n_mels, padding=N_SAMPLES), N_FRAMES)
        _, probabilities = self._model.detect_language(mel.to(self._model.device))
        language = max(probabilities, key=probabilities.__getitem__)
        return language, float(probabilities[language])


def _prompt(options: TranscriptionOptions) -> str | None:
    return " ".join(part.strip() for part in (options.hotwords, options.initial_prompt) if part and part.strip()) or None


def _words(segments: Sequence[dict[str, Any]]) -> list[Word]:
    return [
        Word(word["word"], float(word["start"]), float(word["end"]), float(word["probability"]))
        for segment in segments
        for word in segment["words"]
    ]


def _segment(number: int, values: dict[str, Any], duration: float) -> Segment:
    """duration: seconds of audio. The model hears 30 s at a time, so its last segment may end in the padding."""
    return Segment(
        id=number,
        start=min(float(values["start"]), duration),
        end=min(float(values["end"]), duration),
        text=values["text"],
        avg_logprob=float(values["avg_logprob"]),
        compression_ratio=float(values["compression_ratio"]),
        no_speech_prob=float(values["no_speech_prob"]),
        temperature=float(values["temperature"]),
    )
