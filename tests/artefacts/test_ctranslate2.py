"""The reader of CTranslate2 files and the conversion: exact for good files, one clear error for others."""

import contextlib
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import whisper
from hypothesis import given, settings
from hypothesis import strategies as st
from whisper.model import ModelDimensions, Whisper

from model_build.artefact import BuiltArtefact
from model_build.checkpoint import Checkpoint, save_checkpoint
from model_build.convert_ctranslate2 import convert
from model_build.ctranslate2 import open_model, parse_model
from model_build.errors import BuildError
from tests.artefacts.conftest import make_toy_model
from whisper_serving.audio import decode
from whisper_serving.settings import Settings
from whisperstack_contract.weight_shapes import expected_shapes

_GOOD = make_toy_model().to_bytes()


def _convert(model: Any) -> Checkpoint:
    return convert(parse_model(bytearray(model.to_bytes())))


def test_every_tensor_of_whisper_is_converted(toy_model: Any) -> None:
    checkpoint = _convert(toy_model)
    reference = Whisper(ModelDimensions(**checkpoint.dims))
    reference.load_state_dict(checkpoint.state)
    assert checkpoint.dims["n_text_layer"] == 2
    assert expected_shapes(checkpoint.dims) == {name: tuple(values.shape) for name, values in reference.state_dict().items()}


def test_stacked_projections_are_taken_apart(toy_model: Any) -> None:
    state = _convert(toy_model).state
    stacked = toy_model.variables["encoder/layer_1/self_attention/linear_0/weight"]
    parts = [state[f"encoder.blocks.1.attn.{name}.weight"].numpy() for name in ("query", "key", "value")]
    np.testing.assert_array_equal(np.concatenate(parts), stacked)
    np.testing.assert_array_equal(
        state["decoder.blocks.0.cross_attn.value.bias"].numpy(),
        toy_model.variables["decoder/layer_0/attention/linear_1/bias"][8:],
    )


def test_an_alias_stands_for_its_variable(toy_model: Any) -> None:
    toy_model.variables["encoder/layer_1/ffn/layer_norm/beta"] = toy_model.variables.pop("encoder/layer_0/ffn/layer_norm/beta")
    toy_model.aliases["encoder/layer_0/ffn/layer_norm/beta"] = "encoder/layer_1/ffn/layer_norm/beta"
    state = _convert(toy_model).state
    assert torch.equal(state["encoder.blocks.0.mlp_ln.bias"], state["encoder.blocks.1.mlp_ln.bias"])


def test_bfloat16_keeps_its_bits(toy_model: Any) -> None:
    name = "encoder/conv1/bias"
    toy_model.variables[name] = np.ones(8, np.int16) * 0x3FC0  # 1.5 in bfloat16
    toy_model.type_ids[name] = 5
    bias = _convert(toy_model).state["encoder.conv1.bias"]
    assert bias.dtype is torch.bfloat16
    assert bias.tolist() == [1.5] * 8


def test_a_saved_tensor_takes_no_more_than_its_own_bytes(toy_model: Any, tmp_path: Path) -> None:
    save_checkpoint(_convert(toy_model), tmp_path / "whisper.pt")
    state = torch.load(tmp_path / "whisper.pt", weights_only=True)["model_state_dict"]
    assert all(values.untyped_storage().nbytes() == values.nbytes for values in state.values())


# openai-whisper leaves its vocabulary file for the garbage collector to close.
@pytest.mark.filterwarnings("ignore:unclosed file .*tiktoken:ResourceWarning")
def test_converted_weights_hear_what_was_said(tiny_en: BuiltArtefact, tmp_path: Path, project: Path) -> None:
    with tarfile.open(tiny_en.folder / "model.tar.gz") as archive:
        archive.extract("whisper.pt", tmp_path, filter="data")
    model = whisper.load_model(str(tmp_path / "whisper.pt"), device="cpu")
    settings = Settings.from_environment({"WHISPERSTACK_MODEL_DIGEST": tiny_en.release.digest})
    samples = decode((project / "samples" / "jfk.mp3").read_bytes(), settings).samples
    assert "ask not what your country can do for you" in model.transcribe(samples, fp16=False)["text"]


def _remove(name: str) -> Any:
    return lambda model: model.variables.pop(name)


def _set(name: str, values: np.ndarray) -> Any:
    return lambda model: model.variables.update({name: values})


@pytest.mark.parametrize(
    ("bend", "message"),
    [
        (lambda model: setattr(model, "version", 3), "binary version 3; this reader knows 6"),
        (lambda model: setattr(model, "specification", "TransformerSpec"), "'TransformerSpec'"),
        (lambda model: model.type_ids.update({"encoder/conv1/bias": 9}), "'encoder/conv1/bias' has type 9"),
        (lambda model: model.type_ids.update({"encoder/conv1/bias": 0}), "16 bytes, but float32 .8. takes 32"),
        (lambda model: model.aliases.update({"new": "nowhere"}), "'new' stands for 'nowhere'"),
        (_set("encoder/conv1/weight", np.ones((8, 4, 3), np.int8)), "quantised to int8"),
        (_set("encoder/conv1/weight", np.ones((8, 4, 3), np.int16)), "quantised to int16"),
        (_set("encoder/layer_0/self_attention/linear_0/bias", np.ones(24, np.float16)), "key bias that is not zero"),
        (_set("decoder/layer_1/attention/linear_1/bias", np.ones(16, np.float16)), "key bias that is not zero"),
        (_set("encoder/layer_0/self_attention/linear_0/weight", np.ones((25, 8), np.float16)), "3 equal parts"),
        (_set("encoder/conv1/weight", np.ones((8, 4), np.float16)), "has 3 dimensions"),
        (_set("encoder/conv2/bias", np.ones(7, np.float16)), r"encoder.conv2.bias has the shape \[7\]"),
        (_set("decoder/num_heads", np.array(3, np.int16)), "cannot be shared by 3 text attention heads"),
        (_set("decoder/num_heads", np.array(0, np.int16)), "n_text_head is 0"),
        (_set("decoder/num_heads", np.array(2, np.float16)), "must be one whole number"),
        (_remove("decoder/layer_norm/gamma"), "lacks the variable 'decoder/layer_norm/gamma'"),
        (_set("encoder/layer_7/ffn/linear_0/bias", np.ones(32, np.float16)), r"the layers \[0, 1, 7\]"),
    ],
)
def test_what_is_wrong_with_a_model_is_named(toy_model: Any, bend: Any, message: str, tmp_path: Path) -> None:
    bend(toy_model)
    with pytest.raises(BuildError, match=message):
        save_checkpoint(_convert(toy_model), tmp_path / "whisper.pt")


@pytest.mark.parametrize(("content", "message"), [(None, "has no model.bin"), (b"", "is empty"), (b"\6\0", "ends at byte 2")])
def test_a_folder_without_a_model_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "model.bin").write_bytes(content)
    with pytest.raises(BuildError, match=message):
        open_model(tmp_path)


def test_bytes_after_the_last_entry_are_refused() -> None:
    with pytest.raises(BuildError, match="3 bytes after its last entry"):
        parse_model(bytearray(_GOOD + b"abc"))


@given(st.integers(0, len(_GOOD) - 1))
def test_a_file_that_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(BuildError):
        parse_model(bytearray(_GOOD[:length]))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(_GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_damaged_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]) -> None:
    content = bytearray(_GOOD)
    for position, value in changes:
        content[position] = value
    with contextlib.suppress(BuildError):
        save_checkpoint(convert(parse_model(content)), tmp_path_factory.getbasetemp() / "whisper.pt")


@given(st.binary(max_size=200))
def test_bytes_that_are_no_model_are_refused(content: bytes) -> None:
    with pytest.raises(BuildError):
        parse_model(bytearray(content))
