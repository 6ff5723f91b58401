"""Whisper as the fast engine computes it, many windows at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from whisper_serving.checkpoint import Checkpoint, Tokenizer
from whisper_serving.fast_decoder import BatchSteps, FastDecoder
from whisper_serving.fast_encoder import FRAMES_PER_POSITION, FastEncoder
from whisper_serving.fast_linear import Precision
from whisper_serving.log_mel import FRAMES_PER_SECOND, WINDOW_FRAMES, LogMel
from whisper_serving.mel_filters import mel_filters
from whisper_serving.speech_windows import Window
from whisper_serving.window_decoding import WindowDecoder

# What the model sees after a window's end: it has learnt to end a text where sound ends. The rest of 30 s tells it nothing new.
_MARGIN_FRAMES: Final = round(1.5 * FRAMES_PER_SECOND)
# Short of that, the model says what it has heard again and again. docs/performance.md has the figures.
_LEAST_FRAMES: Final = 15 * FRAMES_PER_SECOND
# The encoder's output is a multiple of this, so that windows of about the same length cost the same.
_STEP_FRAMES: Final = 64 * FRAMES_PER_POSITION

# Windows at once that fill the processor's units; more would only add memory. docs/performance.md has the figures.
_MOST_ROWS: Final = 16


@dataclass(frozen=True)
class FastModel:
    """filters: as LogMel takes them. heads: (layer, head) of the cross-attention that follows the audio."""

    encoder: FastEncoder
    decoder: FastDecoder
    tokenizer: Tokenizer
    window_decoder: WindowDecoder
    filters: torch.Tensor
    heads: Sequence[tuple[int, int]]
    most_rows: int = _MOST_ROWS

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, precision: Precision) -> "FastModel":
        """Raises KeyError, TypeError or RuntimeError where it is no Whisper model."""
        dims, state, tokenizer = checkpoint.dims, checkpoint.state, checkpoint.tokenizer
        return cls(
            FastEncoder(state, dims["n_audio_layer"], dims["n_audio_head"], precision),
            FastDecoder(state, dims["n_text_layer"], dims["n_text_head"], precision),
            tokenizer,
            WindowDecoder(tokenizer.vocabulary, dims["n_text_ctx"], precision.device),
            mel_filters(dims["n_mels"]),
            checkpoint.heads,
        )

    @property
    def n_text(self) -> int:
        """Its text context in tokens."""
        return self.decoder.n_text

    def encode(self, mel: LogMel, window: Window, *, padded: bool = False) -> torch.Tensor:
        """[n, width]. padded: with zeros to 30 s, as openai-whisper does, rather than with a margin, to 15 s at least."""
        length = -(-max(window.n_frames + _MARGIN_FRAMES, _LEAST_FRAMES) // _STEP_FRAMES) * _STEP_FRAMES
        length = WINDOW_FRAMES if padded else min(length, WINDOW_FRAMES)
        return self.encoder(mel.window(window.start, window.n_frames, length))

    def begin(self, sounds: Sequence[torch.Tensor]) -> BatchSteps:
        """sounds: as `encode` returns them, each a row."""
        return self.decoder.begin(sounds)

    def detect_language(self, sound: torch.Tensor) -> tuple[str, float]:
        """(code, probability). Source: openai-whisper decoding.py."""
        vocabulary = self.tokenizer.vocabulary
        start = torch.tensor([[vocabulary.start_of_transcript]], device=self.decoder.device)
        logits = self.begin([sound]).advance(start)[0, -1]
        probabilities = logits[list(vocabulary.languages.values())].softmax(-1)
        best = int(probabilities.argmax())
        return list(vocabulary.languages)[best], float(probabilities[best])

    def attend(self, sound: torch.Tensor, tokens: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """(logits [n, n_vocab], attention before softmax [heads, n, positions]), both float32 on the CPU."""
        return self.decoder.attend(sound, tokens, self.heads)
