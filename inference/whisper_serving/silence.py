"""Tells recordings without any sound from those that a model should hear.

Whisper was trained on subtitles and writes "you" or "Thank you." into silence. So a recording in which nothing is loud
enough to be speech never reaches it. The gate judges the whole recording only: it never cuts into speech.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

# About one pitch period of a deep voice times three: long enough to average, short enough to catch a syllable.
_FRAME_SECONDS: Final = 0.030

# Speech peaks at -30 to -10 dBFS, a whisper far from the microphone at about -50. A quiet 16-bit converter idles below -80,
# and the dither of a silent track lies at -90. Root mean square, relative to full scale.
_FLOOR_DBFS: Final = -60.0

_BLOCK_FRAMES: Final = 4096  # two minutes: bounds the memory for recordings of hours


def has_sound(samples: NDArray[np.float32], sample_rate_hz: int) -> bool:
    """Whether any 30 ms frame of float32 [n] samples in -1..1 is louder than -60 dBFS. A constant offset is no sound."""
    frame = round(_FRAME_SECONDS * sample_rate_hz)
    floor = 10 ** (_FLOOR_DBFS / 10)  # of the power, the square of the amplitude
    for start in range(0, len(samples), frame * _BLOCK_FRAMES):
        block = samples[start : start + frame * _BLOCK_FRAMES]
        whole = len(block) // frame * frame
        if whole and float(block[:whole].reshape(-1, frame).var(axis=1).max()) > floor:
            return True
        if whole < len(block) and float(block[whole:].var()) > floor:
            return True
    return False
