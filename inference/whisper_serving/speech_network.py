"""Silero VAD 6.2 at 16 kHz: the probability of speech, 31 times a second. Runs with torch alone, on one core of the CPU.

The network and its weights are those of silero_vad.jit in the PyPI package silero-vad (MIT, silero_vad.LICENSE.txt; taken by
model_build/speech_weights.py). Upstream runs it frame by frame; here all but the recurrent layer runs over many frames at once,
with the same result.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import conv1d, pad

SAMPLE_RATE_HZ: Final = 16_000
FRAME_SAMPLES: Final = 512
FRAME_SECONDS: Final = FRAME_SAMPLES / SAMPLE_RATE_HZ

WEIGHTS: Final = Path(__file__).with_name("silero_vad.npz")

_CONTEXT_SAMPLES: Final = 64  # of the frame before, which each frame starts with
_FFT_SAMPLES: Final = 256
_FFT_HOP_SAMPLES: Final = 128
_BINS: Final = _FFT_SAMPLES // 2 + 1
_STRIDES: Final = (1, 2, 2, 1)  # of the four convolutions, which leave one value of each frame's four
_WIDTH: Final = 128  # of the recurrent layer

_BLOCK_FRAMES: Final = 2048  # a minute at a time bounds the memory


class SpeechNetwork:
    """weights: by the names of silero_vad.npz, float32."""

    def __init__(self, weights: Mapping[str, torch.Tensor]) -> None:
        self._spectrum = weights["spectrum"].T.contiguous()
        self._convolutions = [
            (weights[f"conv{n}.weight"], weights[f"conv{n}.bias"], stride) for n, stride in enumerate(_STRIDES)
        ]
        self._recurrent = torch.nn.LSTM(_WIDTH, _WIDTH)
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        self._recurrent.load_state_dict({f"{name}_l0": weights[f"lstm.{name}"] for name in names})
        self._output = (weights["output.weight"], weights["output.bias"])

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> "SpeechNetwork":
        with np.load(path, allow_pickle=False) as arrays:
            return cls({name: torch.from_numpy(arrays[name]) for name in arrays.files})

    @torch.inference_mode()
    def probabilities(self, samples: NDArray[np.float32], gain: float = 1.0) -> NDArray[np.float32]:
        """float32 [n / 512, rounded up] of float32 [n] samples in -1..1, mono, 16 kHz, which are amplified before."""
        found, state = [np.empty(0, np.float32)], None
        with _one_thread():
            for start in range(0, len(samples), _BLOCK_FRAMES * FRAME_SAMPLES):
                frames = self._features(_with_context(samples, start).mul(gain).clamp(-1, 1))
                heard, state = self._recurrent(frames, state)
                weight, bias = self._output
                found.append((heard.relu() @ weight + bias).sigmoid().numpy())
        return np.concatenate(found)

    def _features(self, block: torch.Tensor) -> torch.Tensor:
        """[frames, 128] of float32 [64 + frames * 512] samples."""
        frames = pad(
            block.unfold(0, _CONTEXT_SAMPLES + FRAME_SAMPLES, FRAME_SAMPLES)[:, None], (0, _CONTEXT_SAMPLES), "reflect"
        )
        waves = frames[:, 0].unfold(1, _FFT_SAMPLES, _FFT_HOP_SAMPLES) @ self._spectrum
        values = (waves[..., :_BINS].square() + waves[..., _BINS:].square()).sqrt().transpose(1, 2)
        for weight, bias, stride in self._convolutions:
            values = conv1d(values, weight, bias, stride, padding=1).relu()
        return values[:, :, 0]


def _with_context(samples: NDArray[np.float32], start: int) -> torch.Tensor:
    """The block from `start` on in whole frames, after the 64 samples before it; zeros where there are none."""
    piece = samples[max(0, start - _CONTEXT_SAMPLES) : start + _BLOCK_FRAMES * FRAME_SAMPLES]
    before = _CONTEXT_SAMPLES if start == 0 else 0
    behind = -(before + len(piece) - _CONTEXT_SAMPLES) % FRAME_SAMPLES
    return pad(torch.from_numpy(np.ascontiguousarray(piece)), (before, behind))


@contextmanager
def _one_thread() -> Iterator[None]:
    """The recurrent layer's steps are so small that threads spend their time waiting for each other: up to 80 times slower."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(count)
