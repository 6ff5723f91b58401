"""Where a recording is loud, so that sound which has no text is told from silence."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from whisper_serving.speech import Span, join
from whisper_serving.speech_network import SAMPLE_RATE_HZ

_FRAME_SECONDS: Final = 0.5
_FRAME_SAMPLES: Final = round(_FRAME_SECONDS * SAMPLE_RATE_HZ)

# So much quieter than the speech is about as loud. docs/accuracy.md has the figures: with 3 or 10 dB they are nearly the same.
_RANGE: Final = 10 ** (-6 / 10)
# Of power, where there is no speech to compare with: -40 dBFS is louder than a quiet room, and than speech from afar.
_LOUD_BY_ITSELF: Final = 10 ** (-40 / 10)

_LONGEST_PAUSE_SECONDS: Final = 1.0  # between words that belong together


def loud_spans(samples: NDArray[np.float32], speech: Sequence[Span]) -> tuple[Span, ...]:
    """Where float32 [n] samples at 16 kHz are about as loud as the speech in them, or loud at all where there is none.

    To half a second; short pauses are part of it.
    """
    n_frames = len(samples) // _FRAME_SAMPLES
    frames = samples[: n_frames * _FRAME_SAMPLES].reshape(n_frames, _FRAME_SAMPLES)
    # einsum makes no copy of hours of sound.
    power = np.einsum("ij,ij->i", frames, frames) / _FRAME_SAMPLES
    spoken = np.zeros(n_frames, dtype=bool)
    for span in speech:
        spoken[round(span.start / _FRAME_SECONDS) : round(span.end / _FRAME_SECONDS)] = True
    least = power[spoken].mean() * _RANGE if spoken.any() else _LOUD_BY_ITSELF
    starts = np.flatnonzero(power >= least) * _FRAME_SECONDS
    return join((Span(float(start), float(start) + _FRAME_SECONDS) for start in starts), within=_LONGEST_PAUSE_SECONDS)
