"""Runs an openai-whisper checkpoint with PyTorch."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from whisper.model import ModelDimensions, Whisper
from whisper.tokenizer import LANGUAGES

from whisper_serving.audio import SAMPLE_RATE_HZ
from whisper_serving.devices import choose_device
from whisper_serving.option_check import ENGLISH, check_against_model
from whisper_serving.transcriber import Recognition
from whisper_serving.weights import checked_weights, read_manifest
from whisperstack_contract.artefact import ArchiveManifest
from whisperstack_contract.errors import ModelUnavailableError
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.transcript import Segment

# A window without speech: the model says so, and is not sure of its words either. Source: openai-whisper transcribe.py.
_NO_SPEECH_THRESHOLD: Final = 0.6
_LOGPROB_THRESHOLD: Final = -1.0


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

    def recognise(self, samples: NDArray[np.float32], options: TranscriptionOptions) -> Recognition:
        # Where decoding falls back to sampling, the same recording still gives the same text.
        torch.manual_seed(0)
        result = self._model.transcribe(
            samples,
            language=options.language or self.only_language,
            task=str(options.task),
            fp16=self._model.device.type == "cuda",
            no_speech_threshold=_NO_SPEECH_THRESHOLD,
            logprob_threshold=_LOGPROB_THRESHOLD,
        )
        # Into hiss the model writes rows of full stops: a segment without a letter or digit holds no word.
        heard = [segment for segment in result["segments"] if any(map(str.isalnum, segment["text"]))]
        duration = len(samples) / SAMPLE_RATE_HZ
        return Recognition(result["language"], [_segment(number, values, duration) for number, values in enumerate(heard)])


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
