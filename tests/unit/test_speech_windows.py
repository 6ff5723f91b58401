"""Windows cover what is said, fit into what the model hears at once, and are cut in pauses."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from whisper_serving.speech import Span
from whisper_serving.speech_windows import cut_into_windows

RATE = 16_000
HOP = 160

spans = st.lists(st.tuples(st.floats(0, 20), st.floats(0.05, 100)), min_size=1, max_size=6)


@given(spans, st.one_of(st.just(30.0), st.floats(1, 30)))
@settings(max_examples=40, deadline=None)
def test_windows_cover_all_speech_are_in_order_and_none_is_longer_than_asked_for(
    pairs: list[tuple[float, float]], longest: float
) -> None:
    speech, time = [], 0.0
    for pause, length in pairs:
        speech.append(Span(time + pause + 0.1, time + pause + 0.1 + length))
        time = speech[-1].end
    samples = np.random.default_rng(0).normal(0, 0.1, int(time * RATE)).astype(np.float32)
    windows = cut_into_windows(samples, speech, longest)
    for window, later in pairwise(windows):
        assert window.start + window.n_frames <= later.start
    assert all(0 < window.n_frames <= longest * 100 + 1 for window in windows)
    covered = np.zeros(len(samples) // HOP + 1, dtype=bool)
    for start, n_frames in windows:
        covered[start : start + n_frames] = True
    for start, end in speech:
        assert covered[int(start * 100) + 1 : min(int(end * 100), len(samples) // HOP) - 1].all()


def test_long_speech_is_cut_in_its_pauses() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 60 * RATE).astype(np.float32)
    pauses = (18.0, 41.0)
    for pause in pauses:
        samples[int(pause * RATE) : int((pause + 0.4) * RATE)] = 0
    windows = cut_into_windows(samples, [Span(0.0, 60.0)])
    assert len(windows) == 3
    for window, pause in zip(windows[1:], pauses, strict=True):
        assert pause <= window.start / 100 <= pause + 0.4
