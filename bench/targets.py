"""What the fast engine is meant to reach, as ratios of medians in one run."""

from collections.abc import Mapping
from typing import Final, NamedTuple

ENGINE: Final = "fast"
REFERENCE: Final = "openai-whisper"
MOST_WER_POINTS_WORSE: Final = 0.3
MOST_PEAK_RATIO: Final = 1.3

# Seconds of audio up to which a column counts, and by peer how many times faster the engine should be there.
LENGTHS: Final = (30.0, 300.0, float("inf"))
SPEEDS: Final[Mapping[str, tuple[float, float, float]]] = {
    "openai-whisper": (4.0, 4.0, 5.0),
    "pipeline-greedy": (4.0, 5.0, 5.0),
    "pipeline": (8.0, 14.0, 15.0),
    "faster-whisper-batched": (3.0, 2.0, 1.7),
}


class Verdict(NamedTuple):
    what: str
    found: float
    target: float
    holds: bool


def speed_verdicts(name: str, audio_seconds: float, seconds: Mapping[str, float]) -> list[Verdict]:
    """seconds: median processing time of each engine for this recording."""
    column = next(index for index, length in enumerate(LENGTHS) if audio_seconds <= length)
    verdicts = []
    for peer, targets in SPEEDS.items():
        if ENGINE in seconds and peer in seconds:
            ratio = seconds[peer] / seconds[ENGINE]
            verdicts.append(Verdict(f"{name}: times as fast as {peer}", ratio, targets[column], ratio >= targets[column]))
    return verdicts


def accuracy_verdicts(error_rates: Mapping[str, Mapping[str, float]]) -> list[Verdict]:
    """error_rates: word error rate in per cent by engine and language."""
    verdicts = []
    for language, rate in error_rates.get(ENGINE, {}).items():
        if (reference := error_rates.get(REFERENCE, {}).get(language)) is not None:
            worse = rate - reference
            what = f"{language}: points of WER worse than {REFERENCE}"
            verdicts.append(Verdict(what, worse, MOST_WER_POINTS_WORSE, worse <= MOST_WER_POINTS_WORSE))
    return verdicts


def memory_verdicts(peaks: Mapping[str, float]) -> list[Verdict]:
    if ENGINE not in peaks or REFERENCE not in peaks:
        return []
    ratio = peaks[ENGINE] / peaks[REFERENCE]
    return [Verdict(f"peak memory as a multiple of {REFERENCE}'s", ratio, MOST_PEAK_RATIO, ratio <= MOST_PEAK_RATIO)]
