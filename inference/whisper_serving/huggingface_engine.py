"""Runs a save_pretrained folder of Whisper with Hugging Face transformers, 4.51 and newer.

Of transformers it uses the model's forward pass and nothing else: what `generate` and the pipeline make of long recordings
differs between versions, and loses text that openai-whisper's own loop keeps.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from whisper_serving.devices import choose_device
from whisper_serving.hardware_failures import retry_with_less_memory
from whisper_serving.huggingface_windows import HuggingFaceTokenizer, HuggingFaceWindows
from whisper_serving.log_mel import FRAMES_PER_SECOND, LogMel
from whisper_serving.long_form import recognise_windows
from whisper_serving.option_check import ENGLISH, check_against_model
from whisper_serving.recognition import Recognition
from whisper_serving.side_by_side import recognise_side_by_side
from whisper_serving.speech import Span, stretches
from whisper_serving.token_rules import Vocabulary
from whisper_serving.weights import checked_weights, read_manifest
from whisper_serving.window_decoding import rows_to_try
from whisper_serving.word_alignment import Aligner
from whisper_serving.word_bounds import bounded_words
from whisperstack_contract.artefact import ArchiveManifest
from whisperstack_contract.errors import ModelUnavailableError
from whisperstack_contract.limits import CHUNK_LENGTH_SECONDS
from whisperstack_contract.options import Task, TranscriptionOptions
from whisperstack_contract.variables import EXACT, FAST

# Tied to the token embedding, so a folder need not hold it.
_OUTPUT_PROJECTION: Final = "proj_out.weight"


class HuggingFaceEngine:
    """One copy of the model. only_language: 'en' for an English-only model, else None.

    side_by_side: windows cut at pauses and heard at once, else openai-whisper's loop, one after another.
    """

    def __init__(
        self, windows: HuggingFaceWindows, manifest: ArchiveManifest, chunk_length_seconds: float, *, side_by_side: bool
    ) -> None:
        self.engine, self.model = manifest.engine, manifest.model
        self.numerics = FAST if side_by_side else EXACT
        self._windows = windows
        self._chunk_frames = round(chunk_length_seconds * FRAMES_PER_SECOND)
        self._side_by_side = side_by_side
        known = windows.tokenizer.vocabulary.languages
        self._languages = tuple(known) or (ENGLISH,)
        self.only_language = None if known else ENGLISH

    @classmethod
    def load(
        cls, model_folder: Path, hardware: str | None, chunk_length_seconds: float, *, side_by_side: bool
    ) -> "HuggingFaceEngine":
        """chunk_length_seconds: the most sound in one window, at most 30; less than that goes window after window.

        Raises ModelUnavailableError where weights or manifest are missing, or not what was built.
        """
        manifest, device = read_manifest(model_folder), choose_device(hardware)
        try:
            model = _load_model(model_folder, manifest)
            tokenizer = Tokenizer.from_file(str(model_folder / "tokenizer.json"))
            generation: Any = GenerationConfig.from_pretrained(model_folder, local_files_only=True)
            features = WhisperFeatureExtractor.from_pretrained(model_folder, local_files_only=True)
            vocabulary = _vocabulary(tokenizer, generation)
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise ModelUnavailableError(f"the archive holds no Whisper model that transformers can load: {error}") from error
        model.to(device, torch.float16 if device.type == "cuda" else torch.float32).eval()
        heads = [(layer, head) for layer, head in generation.alignment_heads]
        # [201, n_mels] in transformers
        filters = torch.from_numpy(np.asarray(features.mel_filters, dtype=np.float32)).T.contiguous()
        windows = HuggingFaceWindows(model, HuggingFaceTokenizer(vocabulary, tokenizer), heads, filters)
        whole = chunk_length_seconds == CHUNK_LENGTH_SECONDS
        return cls(windows, manifest, chunk_length_seconds, side_by_side=side_by_side and whole)

    def check_options(self, options: TranscriptionOptions) -> None:
        check_against_model(options, self.model, self._languages)

    def recognise(self, samples: NDArray[np.float32], options: TranscriptionOptions, speech: Sequence[Span]) -> Recognition:
        if self._side_by_side:
            return recognise_side_by_side(self._windows, samples, options, speech, self.only_language)
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
            language, probability = windows.detect_language(windows.encode_frames(first))
        recogniser = windows.speaking(language, options.task is Task.TRANSLATE, most_rows)
        heard = recognise_windows(mel, listen, recogniser, vocabulary, options)
        segments = [found.segment for found in heard]
        if not options.word_timestamps:
            return Recognition(language, segments, None, probability)
        aligner = Aligner(
            lambda tokens, window: windows.attend(windows.encode_frames(mel.window(*window)), tokens),
            recogniser.start,
            vocabulary,
            recogniser,
            language,
        )
        return Recognition(language, segments, list(bounded_words(aligner.words_of(heard))), probability)


def _load_model(model_folder: Path, manifest: ArchiveManifest) -> WhisperForConditionalGeneration:
    with checked_weights(model_folder, manifest) as path:
        state = load_file(path)
    configuration = WhisperConfig.from_pretrained(model_folder, local_files_only=True)
    # Without memory at first: every number comes from the file.
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(configuration)
    missing, surplus = model.load_state_dict(state, assign=True, strict=False)
    if set(missing) - {_OUTPUT_PROJECTION} or surplus:
        raise ValueError(f"{manifest.weights} lacks {sorted(missing)[:3]} and has {sorted(surplus)[:3]} too many")
    model.tie_weights()
    return model


def _vocabulary(tokenizer: Tokenizer, generation: Any) -> Vocabulary:
    languages = {name.strip("<|>"): token for name, token in getattr(generation, "lang_to_id", {}).items()}
    return Vocabulary(
        end_of_text=generation.eos_token_id,
        start_of_transcript=generation.decoder_start_token_id,
        start_of_previous=_token(tokenizer, "<|startofprev|>"),
        no_speech=generation.no_timestamps_token_id - 1,
        no_timestamps=generation.no_timestamps_token_id,
        first_timestamp=generation.no_timestamps_token_id + 1,
        transcribe=_token(tokenizer, "<|transcribe|>"),
        translate=_token(tokenizer, "<|translate|>"),
        languages=languages,
        suppressed=tuple(generation.suppress_tokens),
        suppressed_at_start=tuple(generation.begin_suppress_tokens),
    )


def _token(tokenizer: Tokenizer, name: str) -> int:
    number = tokenizer.token_to_id(name)
    if number is None:
        raise KeyError(f"tokenizer.json has no token {name}")
    return int(number)
