"""Where somebody speaks. Whisper writes sentences into silence, noise and music, so only speech is handed to it."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whisper_serving.speech_network import FRAME_SECONDS, SAMPLE_RATE_HZ, SpeechNetwork

# Probabilities at which speech begins and ends. Source: silero-vad utils_vad.py.
_BEGINS: Final = 0.5
_ENDS: Final = 0.35

# Shorter than a syllable is a click; a shorter pause belongs to the speech around it; first and last sounds are faint.
# docs/decisions/0055-speech-detection.md has the figures.
_SHORTEST_SPEECH_SECONDS: Final = 0.1
_SHORTEST_PAUSE_SECONDS: Final = 0.5
_MARGIN_SECONDS: Final = 0.4

# A model hears better what it hears in context, so it listens through pauses up to this long.
_LONGEST_PAUSE_SECONDS: Final = 3.0

# The network hears badly what is quieter than its training data, so a quiet recording is amplified for it, to the level of
# ordinary speech. Below -60 dBFS there is only the noise of converters.
_LEVEL: Final = 10 ** (-20 / 20)
_MOST_GAIN: Final = 10 ** (40 / 20)
_LEVEL_FRAME_SAMPLES: Final = 480
_LEVEL_FRAMES: Final = 17  # half a second: clicks and bangs do not make a recording loud


class Span(NamedTuple):
    """start, end: seconds from the recording's start."""

    start: float
    end: float


def speech_spans(samples: NDArray[np.float32]) -> tuple[Span, ...]:
    """Where speech is in float32 [n] samples in -1..1, mono, 16 kHz: in order, apart, with a margin on both sides.

    Empty where there is none.
    """
    seconds = len(samples) / SAMPLE_RATE_HZ
    spans = _spans(load_network().probabilities(samples, _gain(samples)).tolist())
    return join(
        (Span(max(0.0, start - _MARGIN_SECONDS), min(seconds, end + _MARGIN_SECONDS)) for start, end in spans), within=0.0
    )


def join(spans: Iterable[Span], within: float) -> tuple[Span, ...]:
    """The spans, in order, with those made one that at most `within` seconds lie between."""
    joined: list[Span] = []
    for span in spans:
        if joined and span.start - joined[-1].end <= within:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return tuple(joined)


def stretches(speech: Sequence[Span], seconds: float) -> tuple[Span, ...]:
    """What to listen to, for engines that go through a recording from its start to its end: all but the long pauses.

    seconds: of the recording.
    """
    found = join((Span(0.0, 0.0), *speech, Span(seconds, seconds)), within=_LONGEST_PAUSE_SECONDS)
    return tuple(span for span in found if span.end > span.start)


def whole(samples: NDArray[np.float32]) -> tuple[Span, ...]:
    """As if there was nothing but speech."""
    return (Span(0.0, len(samples) / SAMPLE_RATE_HZ),)


@cache
def load_network() -> SpeechNetwork:
    """Once per process: it takes a few milliseconds."""
    return SpeechNetwork.load()


def _gain(samples: NDArray[np.float32]) -> float:
    """What makes the recording as loud as ordinary speech; never less than 1."""
    n_frames = len(samples) // _LEVEL_FRAME_SAMPLES
    frames = samples[: n_frames * _LEVEL_FRAME_SAMPLES].reshape(n_frames, _LEVEL_FRAME_SAMPLES)
    # einsum makes no copy of hours of sound.
    power = np.sort(np.einsum("ij,ij->i", frames, frames) / _LEVEL_FRAME_SAMPLES)[::-1]
    level = float(power[min(_LEVEL_FRAMES, n_frames - 1)]) ** 0.5 if n_frames else 0.0
    return max(1.0, min(_MOST_GAIN, _LEVEL / level)) if level else 1.0


def _spans(probabilities: Sequence[float]) -> list[Span]:
    """Without margins. A span lasts until the probability has been low for as long as the shortest pause."""
    spans: list[Span] = []
    start: float | None = None
    quiet_since: float | None = None
    for number, probability in enumerate([*probabilities, *[0.0] * (int(_SHORTEST_PAUSE_SECONDS / FRAME_SECONDS) + 2)]):
        time = number * FRAME_SECONDS
        if probability >= _BEGINS:
            start, quiet_since = time if start is None else start, None
        elif start is not None and probability < _ENDS:
            quiet_since = time if quiet_since is None else quiet_since
            if time - quiet_since >= _SHORTEST_PAUSE_SECONDS:
                if quiet_since - start >= _SHORTEST_SPEECH_SECONDS:
                    spans.append(Span(start, quiet_since))
                start, quiet_since = None, None
    return spans
