"""Reads an openai-whisper checkpoint without importing openai-whisper."""

from pathlib import Path

import torch

from whisper_serving.alignment_heads import read_alignment_heads
from whisper_serving.checkpoint import Checkpoint
from whisper_serving.weights import checked_weights
from whisper_serving.whisper_tokenizer import WhisperTokenizer
from whisperstack_contract.artefact import ArchiveManifest
from whisperstack_contract.errors import ModelUnavailableError


def read_openai_checkpoint(folder: Path, manifest: ArchiveManifest) -> Checkpoint:
    """Weights are mapped into memory. Raises ModelUnavailableError where they are missing, or not what was built."""
    with checked_weights(folder, manifest) as path:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    try:
        dims = content["dims"]
        return Checkpoint(
            dims, content["model_state_dict"], WhisperTokenizer(dims["n_vocab"]), read_alignment_heads(folder, dims)
        )
    except (KeyError, TypeError) as error:
        raise ModelUnavailableError(f"{manifest.weights!r} is no openai-whisper checkpoint: {error}") from error
