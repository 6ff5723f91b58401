"""Log-mel spectrograms, a window at a time, with the numbers that openai-whisper computes from the whole recording.

Its spectrogram is clipped at 80 dB below the loudest point of the recording, so a first pass looks for that point. Between the
passes only one number is kept: memory does not grow with the recording.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from whisper_serving.time_limit import check_time
from whisperstack_contract.limits import CHUNK_LENGTH_SECONDS

# Source: openai-whisper audio.py.
SAMPLE_RATE_HZ: Final = 16_000
WINDOW_SECONDS: Final = CHUNK_LENGTH_SECONDS
HOP_SAMPLES: Final = 160
FFT_SAMPLES: Final = 400
WINDOW_FRAMES: Final = WINDOW_SECONDS * SAMPLE_RATE_HZ // HOP_SAMPLES
FRAMES_PER_SECOND: Final = SAMPLE_RATE_HZ // HOP_SAMPLES

_RANGE_LOG10: Final = 8.0
_LEAST_POWER: Final = 1e-10
# At a time, in the pass that looks for the loudest point: 15 MB of spectrum.
_BLOCK_FRAMES: Final = 2 * WINDOW_FRAMES
# Centred behind the last whole frame, these still reach into the recording's end.
_FRAMES_AFTER_LAST: Final = -(-(HOP_SAMPLES + FFT_SAMPLES // 2) // HOP_SAMPLES)


class LogMel:
    """samples: float32 [n] in -1..1, mono, 16 kHz. filters: float32 [n_mels, 201], from power per bin to power per mel band.

    chunk_frames: the most frames of sound in one window.
    """

    def __init__(self, samples: NDArray[np.float32], filters: torch.Tensor, chunk_frames: int = WINDOW_FRAMES) -> None:
        self.chunk_frames = chunk_frames
        self.n_mels = len(filters)
        self._samples = samples
        self._filters = filters
        self._hann = torch.hann_window(FFT_SAMPLES)
        self.seconds = len(samples) / SAMPLE_RATE_HZ
        self.n_frames = len(samples) // HOP_SAMPLES
        end = self.n_frames + _FRAMES_AFTER_LAST
        peaks = [float(self._log_power(start, min(_BLOCK_FRAMES, end - start)).max()) for start in range(0, end, _BLOCK_FRAMES)]
        self._floor = max(peaks) - _RANGE_LOG10

    def frame_at(self, seconds: float) -> int:
        """The nearest frame; at the recording's end, the one after its last."""
        return min(round(seconds * FRAMES_PER_SECOND), self.n_frames)

    def window(self, start_frame: int, n_frames: int = WINDOW_FRAMES, length: int = WINDOW_FRAMES) -> torch.Tensor:
        """float32 [n_mels, length]: n_frames from start_frame on, the rest zeros. Source: openai-whisper audio.py.

        Raises InferenceTimedOutError: every engine asks for each window that it hears, so here the request's time is looked at.
        """
        check_time()
        n_frames = min(n_frames, WINDOW_FRAMES, self.n_frames - start_frame)
        log_power = self._log_power(start_frame, n_frames)
        scaled = (torch.clamp(log_power, min=self._floor) + 4.0) / 4.0
        return torch.nn.functional.pad(scaled, (0, length - n_frames))

    def _log_power(self, start_frame: int, n_frames: int) -> torch.Tensor:
        """float32 [n_mels, n_frames]; past the end of the samples there is silence."""
        half = FFT_SAMPLES // 2
        first = start_frame * HOP_SAMPLES - half
        wanted = (n_frames - 1) * HOP_SAMPLES + FFT_SAMPLES
        piece = torch.from_numpy(np.ascontiguousarray(self._samples[max(0, first) : max(0, first + wanted)]))
        if first < 0:
            # The recording's start is mirrored, as torch.stft does where it centres the frames.
            mirrored = torch.from_numpy(np.ascontiguousarray(self._samples[1 : half + 1][::-1]))
            piece = torch.cat([torch.zeros(half - len(mirrored)), mirrored, piece])[:wanted]
        piece = torch.nn.functional.pad(piece, (0, wanted - len(piece)))
        spectrum = torch.stft(piece, FFT_SAMPLES, HOP_SAMPLES, window=self._hann, center=False, return_complex=True)
        return torch.clamp(self._filters @ spectrum.abs().square(), min=_LEAST_POWER).log10()
