"""The filters that Whisper hears through, without the packages that bring them, which are slow to import."""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from whisper_serving.log_mel import FFT_SAMPLES, SAMPLE_RATE_HZ

# Slaney's scale: even steps up to a pitch, even ratios from there. Source: librosa, convert.py, mel_to_hz.
_HERTZ_PER_MEL: Final = 200 / 3
_FIRST_RATIO_HERTZ: Final = 1000.0
_FIRST_RATIO_MEL: Final = _FIRST_RATIO_HERTZ / _HERTZ_PER_MEL
_LOG_PER_MEL: Final = np.log(6.4) / 27


def mel_filters(n_mels: int) -> torch.Tensor:
    """float32 [n_mels, 201], from power per bin to power per band.

    Triangles of equal area from 0 Hz to half of the sample rate. Source: librosa, filters.py, mel, of which those of
    openai-whisper and transformers are results.
    """
    nyquist = SAMPLE_RATE_HZ / 2
    highest = _FIRST_RATIO_MEL + np.log(nyquist / _FIRST_RATIO_HERTZ) / _LOG_PER_MEL
    edges = _hertz(np.linspace(0, highest, n_mels + 2))
    bins = np.linspace(0, nyquist, FFT_SAMPLES // 2 + 1)
    widths = np.diff(edges)[:, None]
    rising = (bins - edges[:-2, None]) / widths[:-1]
    falling = (edges[2:, None] - bins) / widths[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return torch.from_numpy((triangles * 2 / (edges[2:] - edges[:-2])[:, None]).astype(np.float32))


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    even = mels * _HERTZ_PER_MEL
    return np.where(mels < _FIRST_RATIO_MEL, even, _FIRST_RATIO_HERTZ * np.exp(_LOG_PER_MEL * (mels - _FIRST_RATIO_MEL)))
