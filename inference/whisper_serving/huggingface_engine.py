"""Runs a save_pretrained folder of Whisper with Hugging Face transformers, 4.51 and newer.

Of transformers it uses the model's forward pass and nothing else: what `generate` and the pipeline make of long recordings
differs between versions, and loses text that openai-whisper's own loop keeps.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import WhisperConfig, WhisperForConditionalGeneration

from whisper_serving.devices import choose_device
from whisper_serving.hardware_failures import retry_with_less_memory
from whisper_serving.huggingface_folder import read_settings
from whisper_serving.huggingface_windows import HuggingFaceWindows
from whisper_serving.log_mel import FRAMES_PER_SECOND, LogMel
from whisper_serving.long_form import recognise_windows
from whisper_serving.mel_filters import mel_filters
from whisper_serving.option_check import ENGLISH, check_against_model
from whisper_serving.recognition import Recognition
from whisper_serving.speech import Span, stretches
from whisper_serving.weights import checked_weights, read_manifest
from whisper_serving.window_decoding import rows_to_try
from whisper_serving.word_alignment import Aligner
from whisper_serving.word_bounds import bounded_words
from whisperstack_contract.artefact import ArchiveManifest
from whisperstack_contract.errors import ModelUnavailableError
from whisperstack_contract.options import Task, TranscriptionOptions
from whisperstack_contract.variables import EXACT
from whisperstack_contract.weight_names import OUTPUT_PROJECTION


class HuggingFaceEngine:
    """One copy of the model. only_language: 'en' for an English-only model, else None."""

    def __init__(self, windows: HuggingFaceWindows, manifest: ArchiveManifest, chunk_length_seconds: float) -> None:
        self.engine, self.model, self.numerics = manifest.engine, manifest.model, EXACT
        self._windows = windows
        self._chunk_frames = round(chunk_length_seconds * FRAMES_PER_SECOND)
        known = windows.tokenizer.vocabulary.languages
        self._languages = tuple(known) or (ENGLISH,)
        self.only_language = None if known else ENGLISH

    @classmethod
    def load(cls, model_folder: Path, hardware: str | None, chunk_length_seconds: float) -> "HuggingFaceEngine":
        """chunk_length_seconds: the most sound in one window, at most 30.

        Raises ModelUnavailableError where weights or manifest are missing, or not what was built.
        """
        manifest, device = read_manifest(model_folder), choose_device(hardware)
        try:
            model = _load_model(model_folder, manifest)
            tokenizer, heads = read_settings(model_folder)
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise ModelUnavailableError(f"the archive holds no Whisper model that transformers can load: {error}") from error
        model.to(device, torch.float16 if device.type == "cuda" else torch.float32).eval()
        windows = HuggingFaceWindows(model, tokenizer, heads, mel_filters(model.config.num_mel_bins))
        return cls(windows, manifest, chunk_length_seconds)

    def check_options(self, options: TranscriptionOptions) -> None:
        check_against_model(options, self.model, self._languages)

    def recognise(self, samples: NDArray[np.float32], options: TranscriptionOptions, speech: Sequence[Span]) -> Recognition:
        return retry_with_less_memory(
            lambda most_rows: self._recognise(samples, options, speech, most_rows), rows_to_try(options)
        )

    @torch.inference_mode()
    def _recognise(
        self, samples: NDArray[np.float32], options: TranscriptionOptions, speech: Sequence[Span], most_rows: int
    ) -> Recognition:
        # Where decoding falls back to sampling, the same recording still gives the same text.
        torch.manual_seed(0)
        windows = self._windows
        vocabulary = windows.tokenizer.vocabulary
        mel = LogMel(samples, windows.filters, self._chunk_frames)
        listen = stretches(speech, mel.seconds)
        language, probability = options.language or self.only_language, None
        if language is None:
            first = mel.window(mel.frame_at(listen[0].start))
            language, probability = windows.detect_language(windows.encode(first))
        recogniser = windows.speaking(language, options.task is Task.TRANSLATE, most_rows)
        heard = recognise_windows(mel, listen, recogniser, vocabulary, options)
        segments = [found.segment for found in heard]
        if not options.word_timestamps:
            return Recognition(language, segments, None, probability)
        aligner = Aligner(
            lambda tokens, window: windows.attend(windows.encode(mel.window(*window)), tokens),
            recogniser.start,
            vocabulary,
            recogniser,
            language,
        )
        return Recognition(language, segments, list(bounded_words(aligner.words_of(heard))), probability)


def _load_model(model_folder: Path, manifest: ArchiveManifest) -> WhisperForConditionalGeneration:
    with checked_weights(model_folder, manifest) as path:
        state = load_file(path)
    # The build has made sure that there is one matrix for both, whatever the configuration says.
    configuration = WhisperConfig.from_pretrained(model_folder, local_files_only=True, tie_word_embeddings=True)
    # Without memory at first: every number comes from the file.
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(configuration)
    missing, surplus = model.load_state_dict(state, assign=True, strict=False)
    if set(missing) - {OUTPUT_PROJECTION} or surplus:
        raise ValueError(f"{manifest.weights} lacks {sorted(missing)[:3]} and has {sorted(surplus)[:3]} too many")
    model.tie_weights()
    return model
