"""Word error rates of our engines against openai-whisper's own transcribe, of the same weights, on recordings of yours.

    python -m bench.accuracy FOLDER

FOLDER has a manifest.json, a list of {"file", "language", "reference"}. Each recording is heard by itself, and then those of a
language as one, in several orders: where windows begin decides about hard words, and one order is one throw of the dice. Ends
with an error where an engine is more than 0.3 points worse than openai-whisper, or where last words are missing.

Results: bench/results/accuracy.json, in place of those of the same models and engines, and a table in docs/accuracy.md.
"""

import io
import json
import sys
import time
import wave
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import jiwer
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

from bench.interruption import end_on_sigterm
from bench.models import load_original, load_transcriber, settings
from bench.recordings import PAUSE, SAMPLE_RATE_HZ
from model_build.errors import BuildError
from model_build.progress import TerminalProgress
from whisper_serving.audio import decode
from whisper_serving.request import Request
from whisper_serving.transcriber import Transcriber
from whisperstack_contract.errors import TranscriptionError
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.variables import FAST

RESULTS: Final = Path(__file__).resolve().parent / "results" / "accuracy.json"

_ENGINES: Final = ("pytorch", FAST, "huggingface", f"huggingface-{FAST}")
_MODELS: Final = ("tiny.en", "base")
_BASELINE: Final = "openai-whisper"
_MOST_POINTS_WORSE: Final = 0.3
_TAIL_WORDS: Final = 3

app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class Recording:
    """name: of its file."""

    name: str
    language: str
    reference: str
    content: bytes


@dataclass(frozen=True)
class Score:
    """errors, words: of all recordings in a language. lost_tails: recordings whose last words are missing.

    warnings: how many the transcripts carry. seconds: of processing. orders: in which they were heard as one; 0 for by itself.
    """

    engine: str
    model: str
    language: str
    recordings: int
    words: int
    errors: int
    lost_tails: tuple[str, ...]
    warnings: int
    seconds: float
    orders: int = 0

    @property
    def rate(self) -> float:
        """Word error rate in per cent."""
        return 100 * self.errors / self.words


@app.command(help=__doc__)
def main(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Recordings with their manifest.json.")],
    model: Annotated[list[str], typer.Option(help="Whisper sizes that a package holds.")] = list(_MODELS),  # noqa: B006
    engine: Annotated[list[str], typer.Option(help="Engines to compare.")] = list(_ENGINES),  # noqa: B006
    orders: Annotated[int, typer.Option(min=0, help="In how many orders the recordings of a language are heard as one.")] = 4,
    threads: Annotated[int, typer.Option(min=1, help="Fewer than the cores where other work runs beside this.")] = 2,
) -> None:
    end_on_sigterm()
    if unknown := sorted(set(engine) - set(_ENGINES)):
        _refuse(f"--engine {unknown[0]} is not known; choose from: {', '.join(_ENGINES)}")
    torch.set_num_threads(threads)
    recordings = read_recordings(folder)
    scores: list[Score] = []
    for size in model:
        try:
            scores += measure(size, engine, recordings, orders)
        except BuildError as error:
            _refuse(str(error))
        # What takes minutes is kept as soon as it is there; what was measured of other models and engines stays.
        measured = {(score.model, score.engine) for score in scores}
        kept = [score for score in read_results() if (score.model, score.engine) not in measured]
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps([asdict(score) for score in [*kept, *scores]], indent=1) + "\n")
    typer.echo(table(scores))
    if failures := find_failures(scores):
        typer.echo("\n".join(failures), err=True)
        raise typer.Exit(1)


def read_recordings(folder: Path) -> list[Recording]:
    """Ends the command with a sentence where the manifest, or one of the recordings that it names, cannot be read."""
    manifest = folder / "manifest.json"
    try:
        entries = json.loads(manifest.read_text())
        named = [(entry["file"], entry["language"], entry["reference"]) for entry in entries]
    except OSError as error:
        _refuse(f"{manifest} cannot be read ({error.strerror}); it lists file, language and reference of each recording")
    except (ValueError, KeyError, TypeError) as error:
        _refuse(f"{manifest} is no list of objects with file, language and reference: {error!r}")
    if not named:
        _refuse(f"{manifest} names no recording; it needs one at least")
    return [Recording(*entry, _read_recording(folder, entry[0])) for entry in named]


def _read_recording(folder: Path, name: str) -> bytes:
    try:
        content = (folder / name).read_bytes()
        decode(content, settings())
    except OSError as error:
        _refuse(f"{folder / 'manifest.json'} names {name!r}, which cannot be read: {error.strerror}")
    except TranscriptionError as error:
        _refuse(f"{folder / name}: {error}")
    return content


def _refuse(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(2)


def measure(model: str, engines: Sequence[str], recordings: Sequence[Recording], orders: int) -> list[Score]:
    """Of openai-whisper first, then of each engine; in the languages that the model knows."""
    with TerminalProgress() as progress:
        original = load_original(model, progress)
        known = [recording for recording in recordings if original.is_multilingual or recording.language == "en"]
        runs: list[tuple[str, Callable[[Recording], tuple[str, int]]]] = [(_BASELINE, _original_transcribe(original))]
        runs += [(engine, _our_transcribe(load_transcriber(engine, model, progress))) for engine in engines]
        rows, scores = joined(known, orders), list[Score]()
        for name, transcribe in runs:
            progress.stage(f"{name}, {model}: {len(known)} recordings, by themselves and as one in {orders} orders")
            scores += _score(name, model, transcribe, known)
            scores += [replace(score, orders=orders) for score in _score(name, model, transcribe, rows)]
    return scores


def joined(recordings: Sequence[Recording], orders: int) -> list[Recording]:
    """Where a language has several recordings, all of them as one, once for each order. Every run has the same orders."""
    found = []
    for language in sorted({recording.language for recording in recordings}):
        spoken = [recording for recording in recordings if recording.language == language]
        for number in range(orders if len(spoken) > 1 else 0):
            order = [spoken[index] for index in np.random.default_rng(number).permutation(len(spoken))]
            pieces = [part for recording in order for part in (decode(recording.content, settings()).samples, PAUSE)]
            reference = " ".join(recording.reference for recording in order)
            found.append(Recording(f"order {number + 1}", language, reference, _wav(np.concatenate(pieces))))
    return found


def _wav(samples: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
        writer.writeframes((samples * 32_767).round().astype("<i2").tobytes())
    return file.getvalue()


def _original_transcribe(model: Any) -> Callable[[Recording], tuple[str, int]]:
    def transcribe(recording: Recording) -> tuple[str, int]:
        torch.manual_seed(0)
        samples = decode(recording.content, settings()).samples
        return model.transcribe(samples, language=recording.language, fp16=False)["text"], 0

    return transcribe


def _our_transcribe(transcriber: Transcriber) -> Callable[[Recording], tuple[str, int]]:
    def transcribe(recording: Recording) -> tuple[str, int]:
        transcript = transcriber.transcribe(Request(recording.content, TranscriptionOptions(language=recording.language)))
        return transcript.text, len(transcript.whisperstack.warnings)

    return transcribe


def _score(
    engine: str, model: str, transcribe: Callable[[Recording], tuple[str, int]], recordings: Sequence[Recording]
) -> list[Score]:
    scores = []
    for language in sorted({recording.language for recording in recordings}):
        normalise = EnglishTextNormalizer() if language == "en" else BasicTextNormalizer()
        spoken = [recording for recording in recordings if recording.language == language]
        words = errors = warnings = 0
        lost = []
        started = time.perf_counter()
        for recording in spoken:
            text, count = transcribe(recording)
            result = jiwer.process_words(normalise(recording.reference), normalise(text))
            words += result.hits + result.substitutions + result.deletions
            errors += result.substitutions + result.deletions + result.insertions
            warnings += count
            if lost_words_at_end(result) >= _TAIL_WORDS:
                lost.append(recording.name)
        seconds = time.perf_counter() - started
        scores.append(Score(engine, model, language, len(spoken), words, errors, tuple(lost), warnings, round(seconds, 1)))
    return scores


def lost_words_at_end(result: jiwer.WordOutput) -> int:
    last = result.alignments[0][-1]
    return last.ref_end_idx - last.ref_start_idx if last.type == "delete" else 0


def find_failures(scores: Sequence[Score]) -> list[str]:
    failures = []
    baseline = {(score.model, score.language, score.orders): score for score in scores if score.engine == _BASELINE}
    for score in scores:
        peer = baseline[score.model, score.language, score.orders]
        if score.rate > peer.rate + _MOST_POINTS_WORSE:
            failures.append(
                f"{score.engine}, {score.model}, {score.language}, {_heard(score)}: {score.rate:.2f} % of the words are wrong; "
                f"the limit is {peer.rate:.2f} % as of {_BASELINE} plus {_MOST_POINTS_WORSE} points"
            )
        if score is not peer and score.lost_tails:
            failures.append(f"{score.engine}, {score.model}: the last words are missing of {', '.join(score.lost_tails)}")
    return failures


def table(scores: Sequence[Score]) -> str:
    if not scores:
        return "Not measured since the last change."
    head = "| model | language | heard | engine | recordings | words | word error rate, % | last words lost | warnings |"
    rows = []
    for score in sorted(scores, key=_place):
        warnings = "" if score.engine == _BASELINE else score.warnings
        cells = (score.model, score.language, _heard(score), score.engine, score.recordings, score.words, f"{score.rate:.2f}")
        rows.append(f"| {' | '.join(map(str, (*cells, len(score.lost_tails), warnings)))} |")
    return "\n".join([head, "|---|---|---|---|---|---|---|---|---|", *rows])


def _place(score: Score) -> tuple[str, int, str, int]:
    engines = (_BASELINE, *_ENGINES)
    return score.model, score.orders, score.language, engines.index(score.engine) if score.engine in engines else len(engines)


def _heard(score: Score) -> str:
    return f"as one, {score.orders} orders" if score.orders else "each by itself"


def read_results() -> list[Score]:
    if not RESULTS.is_file():
        return []
    return [Score(**{**entry, "lost_tails": tuple(entry["lost_tails"])}) for entry in json.loads(RESULTS.read_text())]


if __name__ == "__main__":
    sys.exit(app())
