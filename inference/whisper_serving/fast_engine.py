"""Runs an archive of either framework fast: windows side by side, in the numbers that the processor is quickest with."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from whisper_serving.checkpoint import Checkpoint
from whisper_serving.devices import choose_device
from whisper_serving.fast_linear import Precision
from whisper_serving.fast_model import FastModel
from whisper_serving.option_check import ENGLISH, check_against_model
from whisper_serving.recognition import Recognition
from whisper_serving.side_by_side import recognise_side_by_side
from whisper_serving.speech import Span
from whisper_serving.weights import read_manifest
from whisperstack_contract.artefact import ArchiveManifest
from whisperstack_contract.errors import ModelUnavailableError
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.variables import FAST


class FastEngine:
    """One copy of the model. only_language: 'en' for an English-only model, else None."""

    def __init__(self, model: FastModel, manifest: ArchiveManifest, chunk_length_seconds: float) -> None:
        self.engine, self.model, self.numerics = manifest.engine, manifest.model, FAST
        self.weights, self._chunk_length_seconds = model, chunk_length_seconds
        known = model.tokenizer.vocabulary.languages
        self._languages = tuple(known) or (ENGLISH,)
        self.only_language = None if known else ENGLISH

    @classmethod
    def load(cls, model_folder: Path, hardware: str | None, chunk_length_seconds: float) -> "FastEngine":
        """chunk_length_seconds: the most sound in one window, at most 30.

        Raises ModelUnavailableError where weights or manifest are missing, or not what was built.
        """
        manifest, device = read_manifest(model_folder), choose_device(hardware)
        checkpoint = _read_checkpoint(model_folder, manifest)
        try:
            checkpoint.check()
            with torch.inference_mode():
                model = FastModel.from_checkpoint(checkpoint, Precision.best_for(device))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelUnavailableError(
                f"{manifest.weights!r} and what the archive says of it do not fit: {error}; build the archive again"
            ) from error
        return cls(model, manifest, chunk_length_seconds)

    def check_options(self, options: TranscriptionOptions) -> None:
        check_against_model(options, self.model, self._languages)

    def recognise(self, samples: NDArray[np.float32], options: TranscriptionOptions, speech: Sequence[Span]) -> Recognition:
        return recognise_side_by_side(self.weights, samples, options, speech, self.only_language, self._chunk_length_seconds)


def _read_checkpoint(folder: Path, manifest: ArchiveManifest) -> Checkpoint:
    # Imported here: each form needs packages that only its own image is sure to have.
    if manifest.engine == "huggingface":
        from whisper_serving.huggingface_folder import read_huggingface_checkpoint

        return read_huggingface_checkpoint(folder, manifest)
    from whisper_serving.openai_checkpoint import read_openai_checkpoint

    return read_openai_checkpoint(folder, manifest)
