"""The spectrogram by windows is the one that openai-whisper makes of the whole recording."""

import numpy as np
import pytest
import torch
from whisper.audio import N_FRAMES, N_SAMPLES, log_mel_spectrogram
from whisper.audio import mel_filters as original_filters

from whisper_serving.audio import decode
from whisper_serving.log_mel import LogMel
from whisper_serving.mel_filters import mel_filters
from whisper_serving.settings import Settings
from whisper_serving.speech import Span
from whisper_serving.transcriber import Transcriber
from whisperstack_contract.options import TranscriptionOptions

FILTERS = original_filters("cpu", 80)

pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*tiktoken:ResourceWarning")


@pytest.mark.parametrize("n_mels", [80, 128])
def test_filters_are_openai_whispers(n_mels: int) -> None:
    torch.testing.assert_close(mel_filters(n_mels), original_filters("cpu", n_mels), atol=1e-8, rtol=0)


@pytest.mark.parametrize("n_samples", [160, 399, 16_077, 75 * 16_000 + 159])
@pytest.mark.parametrize("loudest", [0.0, 0.5, 1.0])
def test_windows_equal_openai_whispers_whole_spectrogram(n_samples: int, loudest: float) -> None:
    """loudest: where the one loud sample is, as a share of the recording: all of it is clipped 80 dB below that."""
    samples = np.random.default_rng(0).standard_normal(n_samples).astype(np.float32) * np.float32(1e-4)
    samples[round(loudest * (n_samples - 1))] = 1.0
    whole = log_mel_spectrogram(samples, 80, padding=N_SAMPLES)
    mel = LogMel(samples, FILTERS)
    assert mel.n_frames == whole.shape[1] - N_FRAMES
    for start in range(0, mel.n_frames, 2_500):
        n_frames = min(N_FRAMES, mel.n_frames - start)
        window = mel.window(start)
        torch.testing.assert_close(window[:, :n_frames], whole[:, start : start + n_frames], atol=1e-4, rtol=0)
        assert not window[:, n_frames:].any()


def test_the_exact_engine_says_what_openai_whisper_says(exact_model: Transcriber, jfk: bytes, settings: Settings) -> None:
    """Its own transcribe of the same weights, which is given the spectrogram of the whole recording."""
    sample = decode(jfk, settings).samples
    quiet = np.random.default_rng(0).standard_normal(40 * 16_000).astype(np.float32) * np.float32(1e-3)
    samples = np.concatenate([sample, quiet, sample])
    speech = [Span(0.0, 11.0), Span(51.0, 62.0)]
    found = exact_model._engine.recognise(samples, TranscriptionOptions(temperature=(0.0,)), speech)
    original = exact_model._engine._model.transcribe(
        samples, language="en", temperature=(0.0,), clip_timestamps=[time for span in speech for time in span], fp16=False
    )
    assert len(found.segments) >= 4
    assert [(segment.start, segment.end, segment.text) for segment in found.segments] == [
        (segment["start"], segment["end"], segment["text"]) for segment in original["segments"]
    ]
    assert [segment.avg_logprob for segment in found.segments] == pytest.approx(
        [segment["avg_logprob"] for segment in original["segments"]], abs=1e-4
    )
