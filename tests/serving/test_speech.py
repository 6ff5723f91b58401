"""Speech is found, whatever surrounds it; what is no speech is not."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.sounds import SOUNDS, at_level, pink_noise
from model_build.speech_weights import read_package
from whisper_serving.audio import decode
from whisper_serving.settings import Settings
from whisper_serving.speech import Span, join, speech_spans, stretches
from whisper_serving.speech_network import FRAME_SAMPLES, WEIGHTS, SpeechNetwork

SAMPLE_RATE_HZ = 16_000


@pytest.fixture
def speech(jfk: bytes, settings: Settings) -> np.ndarray:
    """Eleven seconds, spoken in four phrases with pauses of a second and less."""
    return decode(jfk, settings).samples


def covered(spans: tuple[Span, ...], start: float, end: float) -> float:
    """Share of start..end that the spans cover."""
    return sum(max(0.0, min(span.end, end) - max(span.start, start)) for span in spans) / (end - start)


def missed_seconds(clean: np.ndarray, spans: tuple[Span, ...], offset_seconds: float = 0.0) -> float:
    """Seconds in which the clean recording, which starts at the offset, is loud, and no span is."""
    frames = clean[: len(clean) // 480 * 480].reshape(-1, 480)
    power = (frames**2).mean(1)
    loud = power > np.quantile(power, 0.95) * 10 ** (-25 / 10)
    times = offset_seconds + (np.arange(len(frames)) + 0.5) * 0.03
    heard = np.array([any(span.start <= time <= span.end for span in spans) for time in times])
    return 0.03 * float((loud & ~heard).sum())


# The package has its network in this format only; the serving code does not read it.
old_format = pytest.mark.filterwarnings("ignore:.*torch.jit.load:DeprecationWarning")


@old_format
def test_the_weights_are_the_packages() -> None:
    arrays, licence = read_package()
    with np.load(WEIGHTS) as ours:
        assert set(ours.files) == set(arrays)
        assert all(np.array_equal(ours[name], arrays[name]) for name in arrays)
    assert WEIGHTS.with_name("silero_vad.LICENSE.txt").read_text() == licence


@old_format
def test_the_network_says_what_the_packages_network_says(speech: np.ndarray) -> None:
    from importlib import metadata

    path = next(path for path in metadata.files("silero-vad") or () if path.name == "silero_vad.jit")
    original = torch.jit.load(str(path.locate()))
    frames = torch.from_numpy(speech[: 100 * FRAME_SAMPLES]).split(FRAME_SAMPLES)
    with torch.inference_mode():
        expected = [float(original(frame, SAMPLE_RATE_HZ)) for frame in frames]
    np.testing.assert_allclose(SpeechNetwork.load().probabilities(speech)[:100], expected, atol=1e-4)


def test_blocks_are_joined_without_a_seam(speech: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = SpeechNetwork.load().probabilities(speech)
    monkeypatch.setattr("whisper_serving.speech_network._BLOCK_FRAMES", 7)
    np.testing.assert_allclose(SpeechNetwork.load().probabilities(speech), expected, atol=1e-5)


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("dbfs", [-12, -40, -75])
def test_sound_without_speech_has_no_spans(name: str, dbfs: float) -> None:
    assert speech_spans(at_level(SOUNDS[name](20), dbfs)) == ()


@pytest.mark.parametrize("n_samples", [0, 1, 479, 480, 511, 512, 513, 100_000])
@pytest.mark.parametrize("offset", [0.0, 0.25])
def test_silence_has_no_spans(n_samples: int, offset: float) -> None:
    assert speech_spans(np.full(n_samples, offset, np.float32)) == ()


@pytest.mark.parametrize("gain_db", [0, -20, -40, -55])
def test_quiet_speech_is_found(speech: np.ndarray, gain_db: float) -> None:
    assert missed_seconds(speech, speech_spans(speech * np.float32(10 ** (gain_db / 20)))) <= 0.1


@pytest.mark.parametrize("name", ["white_noise", "pink_noise", "hum", "strings"])
def test_speech_in_noise_is_found(speech: np.ndarray, name: str) -> None:
    noisy = speech + at_level(SOUNDS[name](11), 20 * np.log10(speech.std()) - 5)
    assert missed_seconds(speech, speech_spans(noisy)) <= 0.3


def test_speech_after_long_noise_is_found_and_the_noise_is_not(speech: np.ndarray) -> None:
    noise = at_level(pink_noise(60), -40)
    spans = speech_spans(np.concatenate([noise, speech + noise[: len(speech)], noise]))
    assert missed_seconds(speech, spans, offset_seconds=60) <= 0.1
    assert spans[0].start > 59
    assert spans[-1].end < 72


def test_speech_is_found_up_to_the_last_sample(speech: np.ndarray) -> None:
    cut = speech[: 9 * SAMPLE_RATE_HZ]  # in the middle of a word
    assert speech_spans(cut)[-1].end == 9


def test_a_loud_click_does_not_hide_quiet_speech(speech: np.ndarray) -> None:
    quiet = speech * np.float32(10 ** (-45 / 20))
    quiet[8_000:9_000] = 0.9
    assert missed_seconds(speech, speech_spans(quiet)) <= 0.1


def test_the_threads_of_torch_are_as_before(speech: np.ndarray) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        speech_spans(speech)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


_TIMES = st.lists(st.floats(0, 1000), max_size=12).map(sorted)


@given(_TIMES, st.floats(0, 10))
def test_joined_spans_cover_the_same_and_lie_apart(times: list[float], within: float) -> None:
    spans = [Span(start, end) for start, end in zip(times[::2], times[1::2], strict=False)]
    joined = join(spans, within)
    assert all(any(outer.start <= span.start and span.end <= outer.end for outer in joined) for span in spans)
    assert all(after.start - before.end > within for before, after in pairwise(joined))


@given(_TIMES)
def test_only_long_pauses_are_not_listened_to(times: list[float]) -> None:
    spans = [Span(start, end) for start, end in zip(times[::2], times[1::2], strict=False)]
    listened = stretches(spans, 1000)
    ends = [0.0, *[time for span in listened for time in span], 1000.0]
    pauses = [end - start for start, end in zip(ends[::2], ends[1::2], strict=True)]
    assert all(pause == 0 or pause > 3 for pause in pauses)
    assert all(covered(listened, span.start, span.end) == pytest.approx(1) for span in spans if span.end > span.start)
