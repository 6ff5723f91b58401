"""The fast engine against the exact one, on the same weights and the same recording."""

import subprocess
from dataclasses import replace
from itertools import chain
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import torch
from whisper.normalizers import EnglishTextNormalizer

from tests.serving.conftest import DIGEST, PROJECT
from whisper_serving.batched_recognition import BatchedRecogniser
from whisper_serving.engines import load_engine
from whisper_serving.fast_engine import FastEngine
from whisper_serving.fast_linear import EightBitLinear, Precision, WeightOnlyLinear
from whisper_serving.log_mel import LogMel
from whisper_serving.recognition import Recognition
from whisper_serving.settings import Settings, SettingsError
from whisper_serving.speech import speech_spans
from whisper_serving.speech_windows import Window
from whisperstack_contract.options import TranscriptionOptions

pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*(tiktoken|english.json):ResourceWarning")

RATE = 16_000
GREEDY = TranscriptionOptions(temperature=(0.0,))
WORD_TIMES = TranscriptionOptions(word_timestamps=True)


def settings_of(numerics: str) -> Settings:
    return Settings.from_environment({"WHISPERSTACK_MODEL_DIGEST": DIGEST, "WHISPERSTACK_NUMERICS": numerics})


@pytest.fixture(scope="module")
def fast(model_folder: Path) -> FastEngine:
    engine = load_engine(model_folder, settings_of("fast"))
    assert isinstance(engine, FastEngine)
    return engine


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """float32 [n] of the sample recording, eleven seconds."""
    ffmpeg = settings_of("fast").ffmpeg
    command = [
        ffmpeg,
        "-v",
        "error",
        "-i",
        str(PROJECT / "samples" / "jfk.mp3"),
        "-f",
        "s16le",
        "-ac",
        "1",
        "-ar",
        str(RATE),
        "-",
    ]
    output = subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL).stdout
    return np.frombuffer(output, dtype="<i2").astype(np.float32) / 32_768


@pytest.fixture(scope="module")
def heard(model_folder: Path, fast: FastEngine, sound: np.ndarray) -> tuple[Recognition, Recognition]:
    """What the exact and the fast engine hear, with word times."""
    speech = speech_spans(sound)
    exact = load_engine(model_folder, settings_of("exact"))
    return exact.recognise(sound, WORD_TIMES, speech), fast.recognise(sound, WORD_TIMES, speech)


def words_of(recognition: Recognition) -> list[str]:
    return EnglishTextNormalizer()("".join(segment.text for segment in recognition.segments)).split()


def test_it_hears_the_words_that_the_exact_engine_hears(heard: tuple[Recognition, Recognition]) -> None:
    exact, fast = heard
    assert words_of(fast) == words_of(exact)
    assert len(words_of(fast)) == 22
    assert fast.language == "en"


def test_its_words_are_timed_within_a_tenth_of_a_second_of_the_exact_engines(heard: tuple[Recognition, Recognition]) -> None:
    exact, fast = (list(chain.from_iterable(recognition.words or ())) for recognition in heard)
    assert [word.word.strip(" ,.").lower() for word in fast] == [word.word.strip(" ,.").lower() for word in exact]
    pairs = list(zip(exact, fast, strict=True))
    assert median(abs(a.start - b.start) for a, b in pairs) < 0.1
    assert median(abs(a.end - b.end) for a, b in pairs) < 0.1


def test_each_segment_has_its_own_words(heard: tuple[Recognition, Recognition]) -> None:
    _, fast = heard
    assert [segment.id for segment in fast.segments] == list(range(len(fast.segments)))
    assert fast.words is not None
    assert ["".join(word.word for word in words) for words in fast.words] == [segment.text for segment in fast.segments]


def test_a_windows_text_does_not_depend_on_what_shares_its_batch(fast: FastEngine, sound: np.ndarray) -> None:
    mel = LogMel(np.concatenate([sound, sound]), fast.weights.filters)
    windows = [Window(0, 1100), Window(560, 320), Window(900, 1250)]
    start = [fast.weights.tokenizer.vocabulary.start_of_transcript]

    def hear(most_rows: int) -> dict[Window, tuple[list[int], float]]:
        recogniser = BatchedRecogniser(fast.weights, mel, start, GREEDY, most_rows)
        with torch.inference_mode():
            return {
                hearing.window: (list(hearing.result.tokens), hearing.result.avg_logprob)
                for hearing in recogniser.hear(windows)
            }

    alone, pairs, together = hear(1), hear(2), hear(3)
    assert set(alone) >= set(windows)
    assert alone.keys() == pairs.keys() == together.keys()
    for window, (tokens, logprob) in alone.items():
        assert tokens == pairs[window][0] == together[window][0]
        assert together[window][1] == pytest.approx(logprob, abs=1e-4)


def test_beams_find_the_same_words(fast: FastEngine, sound: np.ndarray, heard: tuple[Recognition, Recognition]) -> None:
    found = fast.recognise(sound, TranscriptionOptions(beam_size=3), speech_spans(sound))
    assert words_of(found) == words_of(heard[0])


def test_a_text_that_ends_before_its_sound_does_is_heard_again(fast: FastEngine, sound: np.ndarray) -> None:
    """Two beams lose the last third of this recording where it is not filled up to 30 s."""
    found = fast.recognise(sound, TranscriptionOptions(beam_size=2), speech_spans(sound))
    assert words_of(found)[-4:] == ["do", "for", "your", "country"]


def test_it_hears_the_same_in_the_numbers_of_a_gpu(
    model_folder: Path, sound: np.ndarray, heard: tuple[Recognition, Recognition], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that differs on a GPU but the kernels: 16 bits throughout, and fused attention."""
    monkeypatch.setattr(Precision, "best_for", Precision.half)
    found = load_engine(model_folder, settings_of("fast")).recognise(sound, WORD_TIMES, speech_spans(sound))
    assert words_of(found) == words_of(heard[0])
    exact, half = (list(chain.from_iterable(recognition.words or ())) for recognition in (heard[0], found))
    assert median(abs(a.start - b.start) for a, b in zip(exact, half, strict=True)) < 0.1


def test_no_window_holds_more_than_the_chunk_length(model_folder: Path, sound: np.ndarray) -> None:
    engine = load_engine(model_folder, replace(settings_of("fast"), chunk_length_seconds=4.0))
    found = engine.recognise(sound, GREEDY, speech_spans(sound))
    assert max(segment.end - segment.start for segment in found.segments) <= 4
    assert words_of(found)[-2:] == ["your", "country"]


@pytest.mark.parametrize("kind", [EightBitLinear, WeightOnlyLinear])
def test_eight_bit_layers_are_close_to_exact_ones_and_rows_do_not_depend_on_each_other(
    kind: type[EightBitLinear] | type[WeightOnlyLinear],
) -> None:
    if not Precision.best_for(torch.device("cpu")).for_decoder(64).step_by_step:
        pytest.skip("this processor has no 8-bit dot products, or no bfloat16")
    torch.manual_seed(0)
    weight, bias, rows = torch.randn(96, 64), torch.randn(96), torch.randn(23, 64)
    rows[2] *= 1000
    rows[3] = 0
    layer = kind(weight, bias)
    exact = torch.nn.functional.linear(rows, weight, bias)
    found = layer(rows)
    assert ((found.float() - exact).norm(dim=1) <= 0.02 * exact.norm(dim=1)).all()
    assert torch.equal(found[3], bias.to(found.dtype))
    for number in range(23):
        assert torch.equal(layer(rows[number : number + 1])[0], found[number])


def test_a_wide_decoders_layers_have_activations_in_eight_bits() -> None:
    precision = Precision(torch.device("cpu"), torch.bfloat16, eight_bit=True)
    assert [precision.for_decoder(width).step_by_step for width in (384, 512, 768)] == [True, True, False]
    for other in (replace(precision, number=torch.float32), replace(precision, eight_bit=False)):
        assert not other.for_decoder(384).step_by_step


@pytest.mark.parametrize(("hardware", "numerics"), [("cpu", "fast"), ("gpu", "exact")])
def test_numerics_are_fast_where_that_has_been_measured_and_as_they_are_set(hardware: str, numerics: str) -> None:
    environment = {"WHISPERSTACK_MODEL_DIGEST": DIGEST, "WHISPERSTACK_HARDWARE": hardware}
    assert Settings.from_environment(environment).numerics == numerics
    for wanted in ("exact", "fast"):
        assert Settings.from_environment(environment | {"WHISPERSTACK_NUMERICS": wanted}).numerics == wanted


def test_other_numerics_are_refused() -> None:
    environment = {"WHISPERSTACK_MODEL_DIGEST": DIGEST}
    assert Settings.from_environment(environment).numerics == "fast"
    with pytest.raises(SettingsError, match="WHISPERSTACK_NUMERICS is 'quick'; set it to 'exact' or 'fast'"):
        Settings.from_environment(environment | {"WHISPERSTACK_NUMERICS": "quick"})
