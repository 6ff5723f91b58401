"""Sounds without speech, synthesized: what a transcript must be empty for. float32 [n], 16 kHz, unit root mean square."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ: Final = 16_000

Sound = NDArray[np.float32]

_SEED: Final = 20_261_124


def white_noise(seconds: float) -> Sound:
    return _unit(_random().standard_normal(_count(seconds)))


def pink_noise(seconds: float) -> Sound:
    return _unit(_coloured(seconds, power=-1.0))


def brown_noise(seconds: float) -> Sound:
    return _unit(_coloured(seconds, power=-2.0))


def hum(seconds: float) -> Sound:
    """Of mains: 50 Hz and its overtones."""
    return _unit(sum(np.sin(2 * np.pi * 50 * k * _time(seconds)) / k for k in range(1, 8)))


def tone(seconds: float) -> Sound:
    return _unit(np.sin(2 * np.pi * 440 * _time(seconds)))


def beeps(seconds: float) -> Sound:
    """A tenth of a second, once a second."""
    time = _time(seconds)
    return _unit(np.sin(2 * np.pi * 1000 * time) * (time % 1 < 0.1))


def dialling(seconds: float) -> Sound:
    """Two tones of a telephone's keypad, four times a second."""
    time = _time(seconds)
    return _unit((np.sin(2 * np.pi * 770 * time) + np.sin(2 * np.pi * 1336 * time)) * (time % 0.25 < 0.15))


def organ(seconds: float) -> Sound:
    return _chords(seconds, lambda phase, _: sum(np.sin(k * phase) / k for k in range(1, 7)))


def strings(seconds: float) -> Sound:
    """Bowed, with vibrato: as near to a voice as an instrument comes."""

    def timbre(phase: NDArray[np.float64], time: NDArray[np.float64]) -> NDArray[np.float64]:
        vibrato = 0.15 * np.sin(2 * np.pi * 5.5 * time)
        return np.asarray(sum(np.sin(k * (phase + vibrato)) / k for k in range(1, 12)))

    return _chords(seconds, timbre)


def guitar(seconds: float) -> Sound:
    return _chords(seconds, lambda phase, time: sum(np.sin(k * phase) * np.exp(-3 * k * time) / k for k in range(1, 10)))


def drums(seconds: float) -> Sound:
    time = _time(seconds) % 0.5
    noise = _random().standard_normal(len(time))
    return _unit(noise * np.exp(-30 * time) + 2 * np.sin(2 * np.pi * 70 * time) * np.exp(-15 * time))


def band(seconds: float) -> Sound:
    return _unit(strings(seconds) + guitar(seconds) + 0.6 * drums(seconds))


SOUNDS: Final[dict[str, Callable[[float], Sound]]] = {
    sound.__name__: sound
    for sound in (
        *(white_noise, pink_noise, brown_noise, hum, tone, beeps, dialling),
        *(organ, strings, guitar, drums, band),
    )
}


def at_level(sound: Sound, dbfs: float) -> Sound:
    """The sound at a root mean square of so many dB below full scale, clipped there as a converter would."""
    return np.asarray(np.clip(sound * 10 ** (dbfs / 20), -1, 1), dtype=np.float32)


def _random() -> np.random.Generator:
    return np.random.default_rng(_SEED)


def _count(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)


def _time(seconds: float) -> NDArray[np.float64]:
    return np.arange(_count(seconds)) / SAMPLE_RATE_HZ


def _unit(values: object) -> Sound:
    samples = np.asarray(values, dtype=np.float64)
    return (samples / max(float(np.sqrt(np.mean(samples**2))), 1e-12)).astype(np.float32)


def _coloured(seconds: float, power: float) -> NDArray[np.float64]:
    """Noise whose power falls with the frequency to the power of `power`."""
    spectrum = np.fft.rfft(_random().standard_normal(_count(seconds)))
    return np.fft.irfft(spectrum * np.maximum(np.arange(len(spectrum)), 1) ** (power / 2), _count(seconds))


def _chords(seconds: float, timbre: Callable[[NDArray[np.float64], NDArray[np.float64]], object]) -> Sound:
    """A tune of random chords, a quarter to one second each. timbre: of a note's phase and the time since its start."""
    random, samples, start = _random(), np.zeros(_count(seconds)), 0
    while start < len(samples):
        length = min(_count(float(random.choice([0.25, 0.5, 0.5, 1.0]))), len(samples) - start)
        time = np.arange(length) / SAMPLE_RATE_HZ
        edge = np.minimum(1, np.minimum(time / 0.02, (time[-1] - time) / 0.05))
        root = random.integers(-12, 12)
        for interval in random.choice([0, 3, 4, 7, 12], 3, replace=False):
            phase = 2 * np.pi * 220 * 2 ** ((root + interval) / 12) * time
            samples[start : start + length] += edge * np.asarray(timbre(phase, time))
        start += length
    return _unit(samples)
