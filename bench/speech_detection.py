"""What tells speech from the rest best: Silero VAD, or the loudness and the model's own no-speech signal.

    python -m bench.speech_detection FOLDER

FOLDER has recordings of speech with a manifest.json. Sounds without speech are synthesized.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import torch
import typer
import whisper
import whisper.tokenizer
from numpy.typing import NDArray

from bench.accuracy import read_recordings
from bench.interruption import end_on_sigterm
from bench.models import load_original, settings
from bench.sounds import SAMPLE_RATE_HZ, SOUNDS, Sound, at_level
from model_build.progress import TerminalProgress
from whisper_serving.audio import decode
from whisper_serving.long_form import NO_SPEECH_THRESHOLD, is_silent
from whisper_serving.speech import Span, speech_spans

RESULTS: Final = Path(__file__).resolve().parent / "results" / "speech_detection.json"

_SECONDS: Final = 15.0
_LEVELS_DBFS: Final = (-20, -50)
_GAINS_DB: Final = (0, -20, -40, -55)
_RATIOS_DB: Final = (20, 10, 5, 0)
_NOISES: Final = ("white_noise", "pink_noise", "hum", "strings", "band")

# What stood here before Silero: is any 30 ms louder than that?
_GATE_DBFS: Final = -60.0
_FRAME_SAMPLES: Final = 480
# As loud as that below the loudest twentieth is speech, in a clean recording.
_SPEECH_RANGE_DB: Final = 25.0

app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class NoSpeech:
    """Of a sound without speech. detected_seconds: by Silero. gate_open: by loudness. words: that the model alone writes."""

    sound: str
    dbfs: float
    detected_seconds: float
    gate_open: bool
    words: dict[str, int]


@dataclass(frozen=True)
class Missed:
    """Of speech under a condition, in seconds: how much there is, and how much of it is missed.

    detector: Silero. gate: on loudness. models: those that take the window that it lies in for silent, by name.
    """

    condition: str
    speech_seconds: float
    detector_missed_seconds: float
    gate_missed_seconds: float
    models_missed_seconds: dict[str, float]


@app.command(help=__doc__)
def main(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Recordings with their manifest.json.")],
    model: Annotated[list[str], typer.Option(help="Whisper sizes that a package holds.")] = ["tiny.en", "base"],  # noqa: B006
) -> None:
    end_on_sigterm()
    torch.set_num_threads(2)
    recordings = [decode(recording.content, settings()).samples for recording in read_recordings(folder)]
    with TerminalProgress() as progress:
        models = {name: load_original(name, progress) for name in model}
        missed = []
        for number, (name, gain, noise) in enumerate(_conditions(), start=1):
            progress.stage(f"Speech {number} of {len(_conditions())}: {name}")
            missed.append(measure_missed(name, recordings, gain, noise, models))
        progress.stage("Sounds without speech")
        invented = [measure_no_speech(sound, dbfs, models) for sound in SOUNDS for dbfs in _LEVELS_DBFS]
        ratio = measure_time(np.concatenate(recordings))
    results = {"missed": [asdict(row) for row in missed], "no_speech": [asdict(row) for row in invented], "time_ratio": ratio}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    typer.echo(tables(results))


def _conditions() -> list[tuple[str, float, tuple[str, float] | None]]:
    quiet = [(f"{gain} dB" if gain else "as recorded", float(gain), None) for gain in _GAINS_DB]
    noisy = [
        (f"{noise.replace('_', ' ')}, {ratio} dB", 0.0, (noise, float(ratio))) for noise in _NOISES for ratio in _RATIOS_DB
    ]
    return [*quiet, *noisy]


def measure_missed(
    name: str,
    recordings: Sequence[NDArray[np.float32]],
    gain_db: float,
    noise: tuple[str, float] | None,
    models: dict[str, Any],
) -> Missed:
    """noise: a sound, and how many dB the speech is louder."""
    spoken = missed = gated = 0.0
    silent = dict.fromkeys(models, 0.0)
    for clean in recordings:
        loud = _loud(clean)
        changed = clean * np.float32(10 ** (gain_db / 20))
        if noise is not None:
            sound, ratio_db = noise
            speech = float(np.sqrt((clean[: len(loud) * _FRAME_SAMPLES].reshape(-1, _FRAME_SAMPLES)[loud] ** 2).mean()))
            changed = changed + at_level(SOUNDS[sound](len(clean) / SAMPLE_RATE_HZ), 20 * np.log10(speech) - ratio_db)
        heard = _mask(speech_spans(changed), len(loud))
        frame = _FRAME_SAMPLES / SAMPLE_RATE_HZ
        spoken += frame * float(loud.sum())
        missed += frame * float((loud & ~heard).sum())
        gated += 0.0 if _gate_open(changed) else frame * float(loud.sum())
        for model, loaded in models.items():
            silent[model] += frame * float((loud & _mask(_silent_windows(loaded, changed), len(loud))).sum())
    by_model = {model: round(seconds, 2) for model, seconds in silent.items()}
    return Missed(name, round(spoken, 1), round(missed, 2), round(gated, 2), by_model)


def measure_no_speech(sound: str, dbfs: float, models: dict[str, Any]) -> NoSpeech:
    samples = at_level(SOUNDS[sound](_SECONDS), dbfs)
    words = {name: _count_words(model, samples) for name, model in models.items()}
    detected = sum(span.end - span.start for span in speech_spans(samples))
    return NoSpeech(sound.replace("_", " "), dbfs, round(detected, 2), _gate_open(samples), words)


def measure_time(samples: NDArray[np.float32]) -> float:
    """Detection's share of the recording's own time, the median of three."""
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        speech_spans(samples)
        taken.append(time.perf_counter() - started)
    return round(sorted(taken)[1] / (len(samples) / SAMPLE_RATE_HZ), 5)


def _count_words(model: Any, samples: Sound) -> int:
    torch.manual_seed(0)
    text = model.transcribe(samples, language="en", fp16=False)["text"]
    return sum(any(map(str.isalnum, word)) for word in text.split())


def _silent_windows(model: Any, samples: NDArray[np.float32]) -> list[Span]:
    """Windows of 30 s that openai-whisper, whose rule `is_silent` is, would skip."""
    tokenizer = whisper.tokenizer.get_tokenizer(model.is_multilingual, num_languages=model.num_languages, language="en")
    start_of_text = torch.tensor([tokenizer.sot_sequence])
    spans = []
    for start in range(0, len(samples), whisper.audio.N_SAMPLES):
        window = samples[start : start + whisper.audio.N_SAMPLES]
        mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(window), model.dims.n_mels)
        with torch.inference_mode():
            sound = model.embed_audio(mel[None])
            probabilities = model.logits(start_of_text, sound)[0, tokenizer.sot_sequence.index(tokenizer.sot)].softmax(-1)
        # Only then the rule asks how sure the model was of its words, which takes far longer.
        if probabilities[tokenizer.no_speech] > NO_SPEECH_THRESHOLD:
            (heard,) = whisper.decode(model, sound, whisper.DecodingOptions(language="en", fp16=False))
            if is_silent(heard):
                spans.append(Span(start / SAMPLE_RATE_HZ, (start + len(window)) / SAMPLE_RATE_HZ))
    return spans


def _loud(clean: NDArray[np.float32]) -> NDArray[np.bool_]:
    power = (clean[: len(clean) // _FRAME_SAMPLES * _FRAME_SAMPLES].reshape(-1, _FRAME_SAMPLES) ** 2).mean(1)
    return np.asarray(power > np.quantile(power, 0.95) * 10 ** (-_SPEECH_RANGE_DB / 10))


def _mask(spans: Sequence[Span], n_frames: int) -> NDArray[np.bool_]:
    times = (np.arange(n_frames) + 0.5) * _FRAME_SAMPLES / SAMPLE_RATE_HZ
    return np.asarray([any(span.start <= time <= span.end for span in spans) for time in times])


def _gate_open(samples: NDArray[np.float32]) -> bool:
    power = samples[: len(samples) // _FRAME_SAMPLES * _FRAME_SAMPLES].reshape(-1, _FRAME_SAMPLES).var(axis=1)
    return bool(power.max() > 10 ** (_GATE_DBFS / 10))


def tables(results: dict[str, Any]) -> str:
    if not results:
        return "Not measured since the last change."
    names = list(results["no_speech"][0]["words"])
    # Not there in results of before this was measured.
    silent = list(results["missed"][0].get("models_missed_seconds", {}))
    missed = [
        f"| {row['condition']} | {row['speech_seconds']:.0f} | {row['detector_missed_seconds']:.1f} | "
        f"{row['gate_missed_seconds']:.1f} |" + "".join(f" {row['models_missed_seconds'][name]:.1f} |" for name in silent)
        for row in results["missed"]
    ]
    invented = [
        f"| {row['sound']} | {row['dbfs']:.0f} | {row['detected_seconds']:.1f} | {'yes' if row['gate_open'] else 'no'} | "
        + " | ".join(str(row["words"][name]) for name in names)
        + " |"
        for row in results["no_speech"]
    ]
    return "\n".join(
        [
            "| speech | seconds | missed by Silero | missed by the gate on loudness |"
            + "".join(f" in windows that {name} takes for silent |" for name in silent),
            "|---|---|---|---|" + "---|" * len(silent),
            *missed,
            "",
            f"| {_SECONDS:.0f} s without speech | dBFS | seconds that Silero takes for speech | gate on loudness open | "
            + " | ".join(f"words that {name} writes by itself" for name in names)
            + " |",
            "|---|---|---|---|" + "---|" * len(names),
            *invented,
            "",
            f"Detection takes {100 * results['time_ratio']:.2f} % of the recording's own time, on one core.",
        ]
    )


def read_results() -> dict[str, Any]:
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    return results


if __name__ == "__main__":
    sys.exit(app())
