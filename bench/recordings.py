"""Recordings with references, and how far a text is from its reference."""

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import jiwer
import numpy as np
from numpy.typing import NDArray
from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

from whisper_serving.decoder_binary import find_ffmpeg

SAMPLE_RATE_HZ: Final = 16_000
# Between recordings that are heard as one.
PAUSE: Final = np.zeros(SAMPLE_RATE_HZ // 2, np.float32)


@dataclass(frozen=True, eq=False)
class Recording:
    """samples: float32 [n] in -1..1, mono, 16 kHz."""

    name: str
    language: str
    reference: str
    samples: NDArray[np.float32]

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ


class ManifestError(ValueError):
    """The manifest, or a recording that it names, cannot be read."""


def read_manifest(path: Path) -> list[Recording]:
    """path: a JSON list of {"id", "file", "language", "reference"}; files lie beside it. Raises ManifestError."""
    try:
        rows = json.loads(path.read_bytes())
        named = [(row["id"], row["language"], row["reference"], path.parent / row["file"]) for row in rows]
    except OSError as error:
        raise ManifestError(f"{path} cannot be read ({error.strerror}); name a manifest.json") from error
    except KeyError as error:
        raise ManifestError(f"{path} has an entry without {error}; each needs id, file, language and reference") from error
    except (ValueError, TypeError) as error:
        raise ManifestError(f"{path} is no JSON list of objects with id, file, language and reference") from error
    for name, _, reference, _ in named:
        if not isinstance(reference, str) or not reference.strip():
            raise ManifestError(f"{path} has the reference {reference!r} for {name}; write down what is said")
        if sum(name == other for other, *_ in named) > 1:
            raise ManifestError(f"{path} has the id {name} more than once; give each recording its own")
    return [Recording(name, language, reference, _read(file)) for name, language, reference, file in named]


def understood(recordings: Sequence[Recording], model: str) -> tuple[list[Recording], list[str]]:
    """(those in a language that the model knows, names of the others). Raises ManifestError where it knows none."""
    known = [recording for recording in recordings if recording.language == "en" or not model.endswith(".en")]
    if not recordings:
        raise ManifestError("the manifest names no recording; it needs one at least")
    if not known:
        raise ManifestError(
            f"{model} knows English only, and no recording is in English; measure another --model, such as base"
        )
    return known, [recording.name for recording in recordings if recording not in known]


def chosen(recordings: Sequence[Recording], names: Sequence[str] | None) -> list[Recording]:
    """Those of these names, or all. Raises ManifestError for a name that none has."""
    known = {recording.name: recording for recording in recordings}
    if unknown := sorted(set(names or ()) - set(known)):
        raise ManifestError(f"--only {unknown[0]} is in no recording's id; choose from: {', '.join(known)}")
    return [known[name] for name in (known if names is None else names)]


def repeated(recordings: Sequence[Recording], seconds: float) -> Recording:
    """One after another, with short pauses, again and again until it is at least `seconds` long.

    Each time in another order, the same ones in every run: what one recording does to the next should not count several times.
    Raises ManifestError where there is none.
    """
    if not recordings:
        raise ManifestError("--length puts the manifest's English recordings together, and it has none; leave it out")
    orders = np.random.default_rng(0)
    pieces: list[NDArray[np.float32]] = []
    references: list[str] = []
    waiting: list[Recording] = []
    length = 0
    while length < seconds * SAMPLE_RATE_HZ:
        waiting = waiting or [recordings[number] for number in orders.permutation(len(recordings))]
        recording = waiting.pop()
        pieces += [recording.samples, PAUSE]
        references.append(recording.reference)
        length += len(recording.samples) + len(PAUSE)
    return Recording(f"{length / SAMPLE_RATE_HZ:.0f} s", recordings[0].language, " ".join(references), np.concatenate(pieces))


def count_errors(recording: Recording, text: str) -> tuple[int, int]:
    """(wrong words, words said), after openai-whisper's normaliser for English, or its basic one for any other language."""
    normalise = _normaliser(recording.language)
    found = jiwer.process_words(normalise(recording.reference), normalise(text))
    return found.substitutions + found.deletions + found.insertions, found.hits + found.substitutions + found.deletions


@cache
def _normaliser(language: str) -> Callable[[str], str]:
    normaliser: Callable[[str], str] = EnglishTextNormalizer() if language == "en" else BasicTextNormalizer()
    return normaliser


def _read(path: Path) -> NDArray[np.float32]:
    if (ffmpeg := find_ffmpeg()) is None:
        raise ManifestError("there is no ffmpeg to read recordings with; run make setup")
    command = [ffmpeg, "-v", "error", "-i", str(path), "-f", "s16le", "-ac", "1", "-ar", str(SAMPLE_RATE_HZ), "-"]
    run = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    if run.returncode:
        raise ManifestError(f"{path} cannot be read: {run.stderr.decode(errors='replace').strip().splitlines()[-1]}")
    return np.frombuffer(run.stdout, dtype="<i2").astype(np.float32) / np.float32(32_768)
