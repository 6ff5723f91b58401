"""What the model card says, and that a benchmark's results get into it."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from model_build.artefact import BuiltArtefact
from model_build.cli import app
from model_build.errors import BuildError
from model_build.sources import CTranslate2Source

MEASURED = {
    "word_error_rate": 0.052,
    "real_time_factor": 0.08,
    "recordings": "100 calls | of our own",
    "hardware": "ml.g4dn.xlarge",
    "date": "2026-11-24",
}

Build = Callable[..., BuiltArtefact]


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    path = tmp_path / "benchmark.json"
    path.write_text(json.dumps(MEASURED))
    return path


def _page(artefact: BuiltArtefact) -> str:
    with tarfile.open(artefact.folder / "model.tar.gz") as archive:
        content = archive.extractfile("MODEL_CARD.md")
        assert content is not None
        return content.read().decode()


def _shown(artefact: BuiltArtefact, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["inspect", str(artefact.folder), *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_measured_accuracy_and_speed_are_in_card_page_and_inspect(build_toy: Build, benchmark: Path) -> None:
    built = build_toy(benchmark=benchmark)
    measured = {name: str(value) for name, value in MEASURED.items()}
    shown = json.loads(_shown(built, "--json"))
    assert shown["card"]["measured"] == shown["manifest"]["measured"] == measured
    assert all(f"{name} {value}" in _shown(built) for name, value in measured.items())
    assert "| word_error_rate | 0.052 |\n" in _page(built)
    assert "| recordings | 100 calls \\| of our own |\n" in _page(built)


def test_without_a_benchmark_the_card_says_that_none_was_run(build_toy: Build) -> None:
    built = build_toy()
    assert "No benchmark was run for this artefact" in _page(built)
    assert json.loads(_shown(built, "--json"))["card"]["measured"] == {}


def test_a_card_names_source_licence_author_and_dims(build_toy: Build) -> None:
    built = build_toy()
    page, card = _page(built), json.loads(_shown(built, "--json"))["card"]
    assert page.startswith("# toy\n")
    for row in ("| Licence | MIT |", "| Author | not stated |", "| n_text_layer | 2 |", "| toy | 1.0 |", "| torch | "):
        assert row in page
    assert (card["source"]["kind"], card["weights"]["file"], card["languages"]) == ("ctranslate2", "whisper.pt", ["en"])
    assert card["weights"]["sha256"] in page


def test_another_benchmark_makes_another_artefact_and_the_same_one_does_not(build_toy: Build, benchmark: Path) -> None:
    first = build_toy(benchmark=benchmark)
    assert not build_toy(benchmark=benchmark).rebuilt
    benchmark.write_text(json.dumps({**MEASURED, "word_error_rate": 0.06}))
    second = build_toy(benchmark=benchmark)
    assert second.rebuilt
    assert second.release.digest != first.release.digest


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("no json", "cannot be read"),
        ("[]", "holds no JSON object; it needs word_error_rate, real_time_factor"),
        (
            json.dumps({**MEASURED, "word_error_rate": "5 %"}),
            "word_error_rate in the benchmark .* is '5 %'; it must be a number",
        ),
        (json.dumps({**MEASURED, "real_time_factor": -1}), "real_time_factor .* is -1; it must be a number from 0 up"),
        (json.dumps({**MEASURED, "hardware": ""}), "hardware .* is ''; it must be a text"),
        (json.dumps({**MEASURED, "date": None}), "date .* is None; it must be a text"),
    ],
)
def test_a_benchmark_that_says_too_little_is_refused(build_toy: Build, benchmark: Path, content: str, sentence: str) -> None:
    benchmark.write_text(content)
    with pytest.raises(BuildError, match=sentence):
        build_toy(benchmark=benchmark)


def test_an_author_and_a_licence_are_taken_from_the_user(toy_model: Any, tmp_path: Path) -> None:
    described = CTranslate2Source(toy_model.write(tmp_path / "mine"), "CC-BY-4.0", "Our team").describe()
    assert (described.licence, described.author, described.name) == ("CC-BY-4.0", "Our team", "mine")
