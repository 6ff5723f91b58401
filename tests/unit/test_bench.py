"""What the benchmarks conclude from what they measure."""

import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.recordings import ManifestError, Recording, chosen, read_manifest, repeated, understood
from bench.speed import add_costs, app
from bench.speed_table import tables
from bench.targets import accuracy_verdicts, memory_verdicts, speed_verdicts
from bench.throughput import Pool


@pytest.mark.parametrize(
    ("audio_seconds", "found", "holds"), [(11.0, 4.0, True), (11.0, 3.9, False), (61.0, 4.0, True), (700.0, 4.9, False)]
)
def test_a_speed_target_is_that_of_the_recordings_length(audio_seconds: float, found: float, holds: bool) -> None:
    (verdict,) = speed_verdicts("talk", audio_seconds, {"fast": 1.0, "openai-whisper": found, "exact": 9.0})
    assert (verdict.what, verdict.found, verdict.holds) == ("talk: times as fast as openai-whisper", found, holds)


def test_accuracy_is_held_against_openai_whispers_in_each_language() -> None:
    rates = {"fast": {"en": 5.3, "es": 5.4, "fr": 1.0}, "openai-whisper": {"en": 5.0, "es": 5.0}}
    assert [verdict.holds for verdict in accuracy_verdicts(rates)] == [True, False]


def test_memory_is_held_against_openai_whispers() -> None:
    assert [verdict.holds for verdict in memory_verdicts({"fast": 1.2, "openai-whisper": 1.0})] == [True]
    assert [verdict.holds for verdict in memory_verdicts({"fast": 1.4, "openai-whisper": 1.0})] == [False]
    assert memory_verdicts({"fast": 1.2}) == []


def test_recordings_are_chosen_by_their_ids_and_joined_to_a_length() -> None:
    recordings = [Recording(name, "en", f"says {name}", np.zeros(16_000, np.float32)) for name in ("a", "b")]
    assert [recording.name for recording in chosen(recordings, None)] == ["a", "b"]
    assert [recording.name for recording in chosen(recordings, ["b"])] == ["b"]
    with pytest.raises(ManifestError, match="--only c is in no recording's id; choose from: a, b"):
        chosen(recordings, ["c"])
    joined = repeated(recordings, 7.5)
    assert joined.name == "8 s"
    said = joined.reference.replace("says ", "").split()
    # Each time round all of them, in an order of its own, which is the same in every run.
    assert [sorted(said[:2]), sorted(said[2:4])] == [["a", "b"], ["a", "b"]]
    assert repeated(recordings, 7.5).reference == joined.reference


def test_an_english_model_leaves_out_other_languages_and_says_so() -> None:
    recordings = [Recording(name, name, "words", np.zeros(16_000, np.float32)) for name in ("en", "es")]
    assert understood(recordings, "base") == (recordings, [])
    assert understood(recordings, "tiny.en") == (recordings[:1], ["es"])
    with pytest.raises(ManifestError, match=r"tiny\.en knows English only, .* such as base"):
        understood(recordings[1:], "tiny.en")
    with pytest.raises(ManifestError, match="names no recording"):
        understood([], "base")


_ENTRY = '{"id": "a", "language": "en", "reference": "b", "file": "no.wav"}'


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"manifest\.json cannot be read \(No such file or directory\)"),
        ("{", "is no JSON list"),
        ("[1]", "is no JSON list"),
        ('[{"id": "a"}]', "has an entry without 'language'"),
        (f"[{_ENTRY}]", r"no\.wav cannot be read: "),
        ('[{"id": "a", "language": "en", "reference": " ", "file": "no.wav"}]', "has the reference ' ' for a; write down"),
        ('[{"id": "a", "language": "en", "reference": 1, "file": "no.wav"}]', "has the reference 1 for a; write down"),
        (f"[{', '.join(2 * [_ENTRY])}]", "has the id a more than once"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_one_sentence(tmp_path: Path, content: str | None, sentence: str) -> None:
    manifest = tmp_path / "manifest.json"
    if content is not None:
        manifest.write_text(content)
    with pytest.raises(ManifestError, match=sentence):
        read_manifest(manifest)


def test_a_table_says_what_was_measured_where_and_whether_targets_hold() -> None:
    engine = {"load_seconds": 1.5, "peak_bytes": 6e8, "word_error_rate": {"en": 1.25}, "tokens": 30, "seconds": {"jfk": 0.1375}}
    report = {
        "model": "tiny.en",
        "date": "2026-01-02",
        "device": "cpu",
        "threads": 2,
        "runs": 3,
        "short_runs": 15,
        "audio_seconds": {"jfk": 11.0},
        "machine": {"cores": 2, "processor": "P", "load": [0, 0, 1.26]},
        "versions": {"torch": "2.13"},
        "engines": {"fast": engine, "encoder alone": {**engine, "word_error_rate": {}}},
        "targets": [{"what": "jfk: faster", "found": 3.456, "target": 4.0, "holds": False}],
    }
    table = tables({"tiny.en": report})
    assert (
        "2026-01-02, cpu, 2 threads on 2 cores of P, load average 1.3, medians of 3 runs, 15 under 30 s; torch 2.13." in table
    )
    assert "| fast | 1.5 | 600 | en 1.2 | 30 | 0.14 (0.013) |" in table
    assert "| jfk: faster | 3.46 | 4 | does not hold |" in table
    assert tables({}) == "Not measured since the last change."
    # An hour of it for a dollar: the eightieth of a dollar for each hour of sound.
    add_costs(report, "ml.g5.xlarge", 1.0)
    costly = tables({"tiny.en": report})
    assert "| $ an audio hour, ml.g5.xlarge |" in costly
    assert "| fast | 1.5 | 600 | en 1.2 | 30 | 0.14 (0.013) | 0.0125 |" in costly


def test_an_instance_without_a_price_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, [str(tmp_path / "manifest.json"), "--instance", "ml.p9.huge"])
    assert refused.exit_code == 2
    assert "--instance ml.p9.huge has no price in infra/prices.json, which knows ml.g4dn.xlarge" in " ".join(
        refused.output.split()
    )


def test_workers_are_given_out_in_the_order_of_asking() -> None:
    pool, order = Pool([SimpleNamespace()]), []  # type: ignore[list-item]
    clients = []
    with pool.worker():
        for number in range(8):
            asked = threading.Event()

            def client(number: int = number, asked: threading.Event = asked) -> None:
                asked.set()
                with pool.worker():
                    order.append(number)

            clients.append(threading.Thread(target=client))
            clients[-1].start()
            asked.wait()
            while len(pool._waiting) <= number:
                threading.Event().wait(0.001)
    for thread in clients:
        thread.join()
    assert order == list(range(8))
