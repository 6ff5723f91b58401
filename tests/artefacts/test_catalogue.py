"""The table of sizes agrees with openai-whisper, and the instances with what can be deployed."""

import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import whisper
from typer.testing import CliRunner
from whisper.model import ModelDimensions, Whisper

from infra.instances import InstanceType
from model_build.artefact import BuiltArtefact
from model_build.catalogue import GPU_INSTANCES, SIZES, WhisperSize
from model_build.cli import app
from tests.artefacts.forgery import Forgery
from whisperstack_contract.weight_shapes import DIMENSIONS, expected_shapes


def _list(output_root: Path) -> list[str]:
    result = CliRunner().invoke(app, ["list", "--output-root", str(output_root)])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def _size(name: str) -> WhisperSize:
    return next(size for size in SIZES if size.name == name)


def test_every_official_size_is_listed() -> None:
    assert sorted(name for size in SIZES for name in (size.name, *size.aliases)) == sorted(whisper.available_models())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_parameters_bytes_and_languages_are_those_of_openai_whisper(size: WhisperSize, monkeypatch: pytest.MonkeyPatch) -> None:
    # Sparse tensors have no meta form. The heads for word timestamps are neither a parameter nor in the state dict.
    monkeypatch.setattr(torch.Tensor, "to_sparse", lambda tensor: tensor)
    with torch.device("meta"):
        model = Whisper(ModelDimensions(**size.dims))
    state = model.state_dict()
    assert size.parameters == sum(values.numel() for values in model.parameters())
    assert size.state_bytes == sum(values.half().nbytes for values in state.values())
    assert expected_shapes(size.dims) == {name: tuple(values.shape) for name, values in state.items()}
    assert size.n_languages == (model.num_languages if model.is_multilingual else 1)


def test_the_built_weights_are_of_the_size_that_is_listed(tiny_en: BuiltArtefact) -> None:
    with tarfile.open(tiny_en.folder / "model.tar.gz") as archive:
        weights_bytes = archive.getmember("whisper.pt").size
    assert weights_bytes == pytest.approx(_size("tiny.en").state_bytes, rel=0.01)
    # What the help of `list` says that an artefact for pytorch carries.
    assert tiny_en.release.archive_bytes - weights_bytes == pytest.approx(74e6, rel=0.02)
    assert set(_size("tiny.en").dims) == set(DIMENSIONS)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_the_recommended_instance_has_a_gpu_three_times_the_weights(size: WhisperSize) -> None:
    assert InstanceType.parse(size.instance_type).has_gpu
    assert size.gpu_weight_bytes * 3 <= GPU_INSTANCES[size.instance_type]
    smaller = [memory for memory in GPU_INSTANCES.values() if memory < GPU_INSTANCES[size.instance_type]]
    assert all(size.gpu_weight_bytes * 3 > memory for memory in smaller)


def test_the_table_shows_what_is_built(tmp_path: Path) -> None:
    assert not any("pytorch" in line for line in _list(tmp_path / "nothing"))
    Forgery().write(tmp_path / "pytorch" / "tiny.en")
    Forgery().write(tmp_path / "pytorch" / "turbo")
    Forgery(release={"example": True}).write(tmp_path / "pytorch" / "base")
    Forgery().write(tmp_path / "pytorch" / "small").unlink()
    (tmp_path / "a-file").touch()
    lines = {line.split()[0]: line for line in _list(tmp_path)}
    assert [name for name, line in lines.items() if "pytorch" in line] == ["tiny.en", "large-v3-turbo"]


def test_a_line_says_parameters_bytes_languages_and_instance(tmp_path: Path) -> None:
    lines = _list(tmp_path)
    assert lines[0].split("  ")[0] == "model"
    assert len(lines) == 1 + len(SIZES)
    assert lines[1].split() == ["tiny.en", "37.2", "M", "76", "MB", "English", "only", "ml.g4dn.xlarge", "-"]
    assert lines[11].split() == ["large-v3", "=", "large", "1541.6", "M", "3,087", "MB", "100", "ml.g5.xlarge", "-"]


def test_an_artefact_that_was_built_is_listed(build_toy: Callable[..., BuiltArtefact], tmp_path: Path) -> None:
    built = build_toy(folder=tmp_path / "out" / "pytorch" / "medium")
    (line,) = [line for line in _list(tmp_path / "out") if "pytorch" in line]
    shown = re.fullmatch(r"medium .* pytorch \(([\d,]+) MB\)", line)
    assert shown is not None
    assert float(shown[1].replace(",", "")) == round(built.release.archive_bytes / 1e6)
