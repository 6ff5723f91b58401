"""Runs an openai-whisper checkpoint fast: windows side by side, in the numbers that the processor is quickest with."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from whisper_serving.alignment_heads import read_alignment_heads
from whisper_serving.devices import choose_device
from whisper_serving.fast_linear import Precision
from whisper_serving.fast_model import FastModel
from whisper_serving.option_check import ENGLISH, check_against_model
from whisper_serving.recognition import Recognition
from whisper_serving.side_by_side import recognise_side_by_side
from whisper_serving.speech import Span
from whisper_serving.weights import checked_weights, read_manifest
from whisperstack_contract.artefact import ArchiveManifest
from whisperstack_contract.errors import ModelUnavailableError
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.variables import FAST


class FastEngine:
    """One copy of the model. only_language: 'en' for an English-only model, else None."""

    def __init__(self, model: FastModel, manifest: ArchiveManifest) -> None:
        self.engine, self.model, self.numerics = manifest.engine, manifest.model, FAST
        self.weights = model
        self._languages = model.tokenizer.languages or (ENGLISH,)
        self.only_language = None if model.tokenizer.languages else ENGLISH

    @classmethod
    def load(cls, model_folder: Path, hardware: str | None) -> "FastEngine":
        """Raises ModelUnavailableError where weights or manifest are missing, or not what was built."""
        manifest, device = read_manifest(model_folder), choose_device(hardware)
        with checked_weights(model_folder, manifest) as path:
            checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        try:
            heads = read_alignment_heads(model_folder, checkpoint["dims"])
            with torch.inference_mode():
                model = FastModel.from_checkpoint(checkpoint, heads, Precision.best_for(device))
        except (KeyError, TypeError, RuntimeError) as error:
            raise ModelUnavailableError(f"{manifest.weights!r} is no openai-whisper checkpoint: {error}") from error
        return cls(model, manifest)

    def check_options(self, options: TranscriptionOptions) -> None:
        check_against_model(options, self.model, self._languages)

    def recognise(self, samples: NDArray[np.float32], options: TranscriptionOptions, speech: Sequence[Span]) -> Recognition:
        return recognise_side_by_side(self.weights, samples, options, speech, self.only_language)
