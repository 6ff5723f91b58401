"""The same weights as openai-whisper's, transformers' and CTranslate2's: nothing is lost on any way between them."""

import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import WhisperConfig, WhisperForConditionalGeneration, WhisperTokenizer
from whisper.audio import log_mel_spectrogram, pad_or_trim
from whisper.model import ModelDimensions, Whisper

from model_build.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from model_build.ctranslate2 import parse_model
from model_build.ctranslate2_folder import write_ctranslate2_folder, write_model
from model_build.digests import sha256_of_bytes, sha256_of_file
from model_build.errors import BuildError
from model_build.huggingface_folder import write_huggingface_folder
from model_build.huggingface_source import HuggingFaceSource, load_folder
from model_build.layouts import layout_of
from model_build.safetensors_file import write_safetensors
from model_build.sources import CTranslate2Source, PackageSource, read_ctranslate2
from tests.artefacts.conftest import NoProgress
from whisper_serving.audio import decode
from whisper_serving.settings import Settings

# openai-whisper leaves its vocabulary file for the garbage collector to close.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*tiktoken:ResourceWarning")


@pytest.fixture(scope="session")
def tiny() -> Checkpoint:
    return PackageSource.find("tiny.en").load(NoProgress())


@pytest.fixture(scope="session")
def tiny_folder(tiny: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny.en as a save_pretrained folder."""
    folder = tmp_path_factory.mktemp("huggingface") / "tiny.en"
    write_huggingface_folder(tiny, "tiny.en", folder)
    return folder


def same_bits(left: Mapping[str, torch.Tensor], right: Mapping[str, torch.Tensor]) -> bool:
    return set(left) == set(right) and all(
        values.dtype == right[name].dtype and torch.equal(values, right[name]) for name, values in left.items()
    )


def test_there_and_back_through_transformers_keeps_every_bit(tiny: Checkpoint, tiny_folder: Path, tmp_path: Path) -> None:
    back = load_folder(tiny_folder)
    assert back.dims == tiny.dims
    assert same_bits(back.state, tiny.state)
    assert back.alignment_heads == tiny.alignment_heads
    # And as files: the same checkpoint, byte for byte.
    for checkpoint, folder in ((tiny, tmp_path / "first"), (back, tmp_path / "second")):
        folder.mkdir()
        save_checkpoint(checkpoint, folder / "whisper.pt")
    assert sha256_of_file(tmp_path / "first" / "whisper.pt") == sha256_of_file(tmp_path / "second" / "whisper.pt")


def test_there_and_back_through_openai_whisper_keeps_every_bit(tiny_folder: Path, tmp_path: Path) -> None:
    save_checkpoint(load_folder(tiny_folder), tmp_path / "whisper.pt")
    again = load_checkpoint(tmp_path / "whisper.pt", "")
    write_huggingface_folder(again, "tiny.en", tmp_path / "folder")
    built = {path.name: sha256_of_file(path) for path in (tmp_path / "folder").iterdir()}
    assert built == {path.name: sha256_of_file(path) for path in tiny_folder.iterdir()}


def test_a_safetensors_file_is_written_as_the_library_does(tiny: Checkpoint, tmp_path: Path) -> None:
    state = {name: values for name, values in tiny.state.items() if "blocks.0" in name}
    # Types of several widths, in an order of their own.
    state |= {f"{name}.wide": values.double() for name, values in list(state.items())[:3]}
    state |= {f"{name}.float": values.float() for name, values in list(state.items())[:3]}
    state |= {f"é.{name}": values.bfloat16() for name, values in list(state.items())[:3]}
    write_safetensors(state, tmp_path / "ours")
    save_file(state, tmp_path / "theirs", metadata={"format": "pt"})
    assert sha256_of_file(tmp_path / "ours") == sha256_of_file(tmp_path / "theirs")


def test_both_libraries_hear_the_same(tiny: Checkpoint, tiny_folder: Path, project: Path) -> None:
    settings = Settings.from_environment({"WHISPERSTACK_MODEL_DIGEST": "0" * 64})
    samples = decode((project / "samples" / "jfk.mp3").read_bytes(), settings).samples
    mel = log_mel_spectrogram(pad_or_trim(torch.from_numpy(samples)))[None]
    tokens = torch.tensor([[50257, 50362, 843, 523, 616, 5891, 3399, 1265, 407, 644, 534, 1499, 460, 466, 329, 345]])
    theirs = Whisper(ModelDimensions(**tiny.dims))
    theirs.load_state_dict(tiny.state)
    model: Any = WhisperForConditionalGeneration.from_pretrained(tiny_folder, dtype=torch.float32)
    with torch.inference_mode():
        one = theirs.float().eval()(mel, tokens)
        other = model.eval()(input_features=mel, decoder_input_ids=tokens).logits
    assert one.shape == other.shape == (1, 16, 51_864)
    # Of float32 sums in another order; the logits themselves go to 30.
    torch.testing.assert_close(one, other, rtol=0, atol=1e-3)


def test_what_transformers_saved_itself_becomes_a_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(3)
    sizes = {"d_model": 8, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_layers": 2, "decoder_layers": 1}
    configuration = WhisperConfig(
        **sizes, encoder_ffn_dim=32, decoder_ffn_dim=32, num_mel_bins=4, vocab_size=51_865, max_source_positions=6
    )
    model = WhisperForConditionalGeneration(configuration)
    model.save_pretrained(tmp_path / "theirs")
    checkpoint = HuggingFaceSource(tmp_path / "theirs", "MIT", "us").load(NoProgress())
    assert checkpoint.dims["n_audio_layer"] == 2
    reference = Whisper(ModelDimensions(**checkpoint.dims))
    reference.load_state_dict(checkpoint.state)
    write_huggingface_folder(checkpoint, "mine", tmp_path / "ours")
    theirs, ours = load_file(tmp_path / "theirs" / "model.safetensors"), load_file(tmp_path / "ours" / "model.safetensors")
    theirs.pop("proj_out.weight", None)
    assert same_bits(theirs, ours)
    # It has no tokenizer and no generation settings of its own: Whisper's are derived.
    settings = json.loads((tmp_path / "ours" / "generation_config.json").read_text())
    assert settings["alignment_heads"] == [[0, 0], [0, 1]]
    assert settings["lang_to_id"]["<|de|>"] == 50_261
    assert (tmp_path / "ours" / "tokenizer.json").is_file()


@pytest.mark.parametrize("model", ["tiny.en", "base"])
def test_ctranslate2_files_are_what_its_own_converter_wrote(model: str, tmp_path: Path) -> None:
    source = PackageSource.find(model)
    original = b"".join(path.read_bytes() for path in source.files)
    write_ctranslate2_folder(source.load(NoProgress()), model, tmp_path)
    written = (tmp_path / "model.bin").read_bytes()
    theirs, ours = parse_model(bytearray(original)), parse_model(bytearray(written))
    # An older converter left out two switches that are off.
    newer = set(ours.variables) - set(theirs.variables)
    assert newer <= {"decoder/scale_alibi", "decoder/alibi_use_positive_positions"}
    assert [ours.bytes_of(ours.variables[name]) for name in newer] == [b"\0"] * len(newer)
    assert all(ours.bytes_of(ours.variables[name]) == theirs.bytes_of(found) for name, found in theirs.variables.items())
    assert (sha256_of_bytes(written) == sha256_of_bytes(original)) == (not newer)
    configuration = json.loads(source.configuration.read_text())
    wanted = set(configuration) - ({"lang_ids"} if model.endswith(".en") else set())
    shown = json.loads((tmp_path / "config.json").read_text())
    assert {name: shown[name] for name in wanted} == {name: configuration[name] for name in wanted}
    assert json.loads((tmp_path / "preprocessor_config.json").read_text())["feature_size"] == 80


def test_there_and_back_through_ctranslate2_keeps_every_bit(tiny: Checkpoint, tmp_path: Path) -> None:
    write_ctranslate2_folder(tiny, "tiny.en", tmp_path)
    back = CTranslate2Source(tmp_path, "MIT").load(NoProgress())
    assert same_bits(back.state, tiny.state)
    assert (back.dims, back.alignment_heads) == (tiny.dims, tiny.alignment_heads)


def test_a_toy_model_goes_through_ctranslate2_too(toy_model: Any) -> None:
    checkpoint = read_ctranslate2(parse_model(bytearray(toy_model.to_bytes())), Path("none"))
    written = io.BytesIO()
    write_model(checkpoint, written)
    assert same_bits(read_ctranslate2(parse_model(bytearray(written.getvalue())), Path("none")).state, checkpoint.state)


@dataclass
class FineTuned:
    """A fine-tuned tiny.en as transformers leaves it, with settings of its own."""

    folder: Path

    def change(self, name: str, **values: object) -> None:
        path = self.folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.fixture
def fine_tuned(tiny_folder: Path, tmp_path: Path) -> FineTuned:
    found = FineTuned(shutil.copytree(tiny_folder, tmp_path / "fine-tuned"))
    found.change(
        "generation_config.json", alignment_heads=[[2, 5]], suppress_tokens=[1, 2], forced_decoder_ids=[[1, 3]], language="de"
    )
    found.change("config.json", auto_map={"AutoModel": "evil.py"}, _name_or_path="me/mine")
    return found


def test_a_fine_tuned_models_settings_and_tokenizer_are_carried(fine_tuned: FineTuned, tmp_path: Path) -> None:
    tokenizer = json.loads((fine_tuned.folder / "tokenizer.json").read_text())
    vocabulary, merges = tokenizer["model"]["vocab"], tokenizer["model"]["merges"]
    left, right = merges.pop()
    vocabulary["cardiogram"] = vocabulary.pop(left + right)
    (fine_tuned.folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    checkpoint = load_folder(fine_tuned.folder)
    write_huggingface_folder(checkpoint, "mine", tmp_path / "built")
    settings = json.loads((tmp_path / "built" / "generation_config.json").read_text())
    assert (settings["alignment_heads"], settings["suppress_tokens"]) == ([[2, 5]], [1, 2])
    # What would force a language on every request is not, and what was not said is Whisper's.
    assert not {"forced_decoder_ids", "language"} & set(settings)
    assert settings["begin_suppress_tokens"] == [220, 50256]
    assert not {"auto_map", "_name_or_path"} & set(json.loads((tmp_path / "built" / "config.json").read_text()))
    carried = (tmp_path / "built" / "tokenizer.json").read_bytes()
    assert carried == (fine_tuned.folder / "tokenizer.json").read_bytes()
    # openai-whisper and CTranslate2's image have no room for a tokenizer of one's own.
    for engine in ("pytorch", "whisperx"):
        (tmp_path / engine).mkdir()
        with pytest.raises(
            BuildError, match=r"calls token .* the model has a tokenizer of its own; build it for .* huggingface"
        ):
            layout_of(engine).write(checkpoint, "mine", tmp_path / engine)


def test_a_fine_tuned_models_alignment_heads_reach_every_engine(fine_tuned: FineTuned, tmp_path: Path) -> None:
    checkpoint = load_folder(fine_tuned.folder)
    assert checkpoint.alignment_heads == ((2, 5),)
    write_ctranslate2_folder(checkpoint, "mine", tmp_path / "ctranslate2")
    assert json.loads((tmp_path / "ctranslate2" / "config.json").read_text())["alignment_heads"] == [[2, 5]]
    assert CTranslate2Source(tmp_path / "ctranslate2", "MIT").load(NoProgress()).alignment_heads == ((2, 5),)


def test_a_vocabulary_of_its_own_is_carried_by_transformers_only(fine_tuned: FineTuned, tmp_path: Path) -> None:
    state = load_file(fine_tuned.folder / "model.safetensors")
    words = state["model.decoder.embed_tokens.weight"]
    state["model.decoder.embed_tokens.weight"] = torch.cat([words, words[:300]])
    save_file(state, fine_tuned.folder / "model.safetensors")
    fine_tuned.change("config.json", vocab_size=len(words) + 300)
    checkpoint = load_folder(fine_tuned.folder)
    write_huggingface_folder(checkpoint, "mine", tmp_path / "built")
    assert json.loads((tmp_path / "built" / "config.json").read_text())["vocab_size"] == len(words) + 300
    with pytest.raises(BuildError, match=r"the vocabulary has 52164 tokens; Whisper's have .* for the engine huggingface"):
        layout_of("pytorch").write(checkpoint, "mine", tmp_path)
    fine_tuned.change("generation_config.json", suppress_tokens=None)
    with pytest.raises(BuildError, match=r"has a vocabulary of its own, and .* says no suppress_tokens"):
        write_huggingface_folder(checkpoint, "mine", tmp_path / "again")


def test_weights_in_several_files_or_pickled_are_the_same_weights(tiny: Checkpoint, tiny_folder: Path, tmp_path: Path) -> None:
    state = load_file(tiny_folder / "model.safetensors")
    several, pickled = tmp_path / "several", tmp_path / "pickled"
    for folder in (several, pickled):
        folder.mkdir()
        shutil.copyfile(tiny_folder / "config.json", folder / "config.json")
    names = sorted(state)
    files = {name: f"model-{index % 2}.safetensors" for index, name in enumerate(names)}
    for file in set(files.values()):
        save_file({name: state[name] for name in names if files[name] == file}, several / file)
    (several / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    torch.save(state, pickled / "pytorch_model.bin")
    for folder in (several, pickled):
        assert same_bits(load_folder(folder).state, tiny.state)
    digests = {HuggingFaceSource(folder, "MIT", "us").describe().sha256 for folder in (several, pickled, tiny_folder)}
    assert len(digests) == 3
    (several / "model-1.safetensors").unlink()
    with pytest.raises(BuildError, match=r"lacks model-1\.safetensors, which its model\.safetensors\.index\.json names"):
        load_folder(several)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("config.json", None, r"has no config\.json"),
        ("config.json", b"{", r"config\.json cannot be read"),
        ("config.json", b'{"model_type": "llama"}', "describes a 'llama' model; only 'whisper'"),
        ("model.safetensors", None, "has no weights: neither"),
        ("model.safetensors", b"\x08", "is no whole safetensors file"),
        ("pytorch_model.bin", b"\x80\x04", "holds more than tensors, or is damaged"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": "../a"}}', r"names '../a', which is no file beside it"),
        ("model.safetensors.index.json", b"[]", "index.json of the folder .* is damaged"),
        ("generation_config.json", b'{"alignment_heads": [[9, 0]]}', r"head \[9, 0\]; the decoder has 4 layers of 6 heads"),
        ("tokenizer.json", b"{}", r"tokenizer\.json cannot be read"),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(
    fine_tuned: FineTuned, name: str, content: bytes | None, sentence: str, tmp_path: Path
) -> None:
    if name.endswith((".bin", ".index.json")):
        (fine_tuned.folder / "model.safetensors").unlink()
    if content is None:
        (fine_tuned.folder / name).unlink()
    else:
        (fine_tuned.folder / name).write_bytes(content)
    with pytest.raises(BuildError, match=sentence):
        write_huggingface_folder(load_folder(fine_tuned.folder), "mine", tmp_path / "built")


def test_an_adapter_is_to_be_merged_first(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(BuildError, match="only an adapter: merge it into its model first"):
        load_folder(tmp_path)


def test_an_output_projection_of_its_own_is_refused(fine_tuned: FineTuned) -> None:
    state = load_file(fine_tuned.folder / "model.safetensors")
    projection = state["model.decoder.embed_tokens.weight"].clone()
    save_file(state | {"proj_out.weight": projection}, fine_tuned.folder / "model.safetensors")
    load_folder(fine_tuned.folder)
    projection[0] += 1
    save_file(state | {"proj_out.weight": projection}, fine_tuned.folder / "model.safetensors")
    with pytest.raises(BuildError, match=r"proj_out\.weight differs from the token embedding; .* train it with tied weights"):
        load_folder(fine_tuned.folder)


def test_transformers_reads_the_tokenizer_as_openai_whisper_does(tiny_folder: Path) -> None:
    tokenizer: Any = WhisperTokenizer.from_pretrained(tiny_folder)
    text = " ask not what your country can do for you, \u00e9t\u00e9 \u4f60\u597d 42!"
    from whisper.tokenizer import get_tokenizer

    assert tokenizer.encode(text, add_special_tokens=False) == get_tokenizer(multilingual=False).encode(text)
