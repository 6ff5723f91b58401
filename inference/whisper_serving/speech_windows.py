"""Cuts speech into windows that a model can hear at once, in pauses, so that they can be heard side by side."""

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whisper_serving.log_mel import FRAMES_PER_SECOND, HOP_SAMPLES, SAMPLE_RATE_HZ, WINDOW_SECONDS
from whisper_serving.speech import Span, join

# Pauses up to this long are heard with the speech around them, as context. docs/performance.md has the figures.
_LONGEST_PAUSE_SECONDS: Final = 3.0

# Of the longest window, how far from an even division a cut may lie, to find a pause.
_SLACK_SHARE: Final = 0.1

# A pause between words is at least this long; a shorter average would take the closure of a stop consonant for one.
_PAUSE_SECONDS: Final = 0.25


class Window(NamedTuple):
    """Mel frames of the recording, at most 3,000. n_frames: how many, from `start` on."""

    start: int
    n_frames: int


def cut_into_windows(
    samples: NDArray[np.float32], speech: Sequence[Span], longest_seconds: float = WINDOW_SECONDS
) -> list[Window]:
    """samples: float32 [n], 16 kHz. speech: as `speech_spans` finds it. The windows are in order and apart, none too long."""
    windows = []
    for stretch in join(speech, within=_LONGEST_PAUSE_SECONDS):
        for span in _even_parts(samples, stretch, longest_seconds):
            start, end = (round(seconds * FRAMES_PER_SECOND) for seconds in span)
            end = min(end, len(samples) // HOP_SAMPLES)
            if end > start:
                windows.append(Window(start, end - start))
    return windows


def _even_parts(samples: NDArray[np.float32], stretch: Span, longest_seconds: float) -> Iterator[Span]:
    length, slack = stretch.end - stretch.start, _SLACK_SHARE * longest_seconds
    n_parts = max(1, math.ceil(length / (longest_seconds - 2 * slack)))
    start = stretch.start
    for number in range(1, n_parts):
        cut = _quietest(samples, stretch.start + number * length / n_parts, slack)
        yield Span(start, cut)
        start = cut
    yield Span(start, stretch.end)


def _quietest(samples: NDArray[np.float32], near: float, slack: float) -> float:
    """The middle, in seconds, of the quietest pause at most `slack` from `near`."""
    first = max(0, round((near - slack) * SAMPLE_RATE_HZ))
    reach = samples[first : round((near + slack) * SAMPLE_RATE_HZ)]
    power = np.square(reach[: len(reach) // HOP_SAMPLES * HOP_SAMPLES].reshape(-1, HOP_SAMPLES)).mean(1, dtype=np.float64)
    width = round(_PAUSE_SECONDS * FRAMES_PER_SECOND)
    running = np.convolve(power, np.ones(width), "valid")
    middle = int(running.argmin()) + width / 2
    return first / SAMPLE_RATE_HZ + middle / FRAMES_PER_SECOND
