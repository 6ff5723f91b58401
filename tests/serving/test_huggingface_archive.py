"""A save_pretrained folder behind the fast engine, which reads it without transformers."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from tests.serving.conftest import DIGEST, PROJECT, Context
from whisper_serving.transcriber import Transcriber
from whisperstack_contract.errors import ErrorDocument
from whisperstack_contract.transcript import Transcript

pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*(tiktoken|english.json):ResourceWarning")

Refusal = Callable[[], str]


@pytest.fixture
def copied(huggingface_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive to damage."""
    monkeypatch.setenv("WHISPERSTACK_MODEL_DIGEST", DIGEST)
    return shutil.copytree(huggingface_folder, tmp_path / "model")


@pytest.fixture
def refusal(handler: ModuleType, copied: Path) -> Refusal:
    """What a request is told."""

    def ask() -> str:
        answer = handler.transform_fn(handler.model_fn(str(copied)), b"sound", "audio/wav", "application/json", Context())
        error = ErrorDocument.from_json(answer)
        assert error is not None
        assert error.code == "model_unavailable"
        return error.message

    return ask


def test_both_archives_of_the_same_weights_say_the_same(
    model: Transcriber, copied: Path, handler: ModuleType, jfk: bytes
) -> None:
    context = Context({"X-Amzn-SageMaker-Custom-Attributes": json.dumps({"word_timestamps": True})})

    def said(loaded: Any) -> Transcript:
        return Transcript.from_json(handler.transform_fn(loaded, jfk, "audio/mpeg", "application/json", context))

    pytorch, huggingface = said(model), said(handler.model_fn(str(copied)))
    assert (huggingface.whisperstack.engine, huggingface.whisperstack.numerics) == ("huggingface", "fast")
    assert [(segment.start, segment.end, segment.text) for segment in huggingface.segments] == [
        (segment.start, segment.end, segment.text) for segment in pytorch.segments
    ]
    assert huggingface.words == pytorch.words


def test_it_starts_without_transformers(huggingface_folder: Path) -> None:
    script = (
        "import sys, inference; model = inference.model_fn(sys.argv[1]); "
        "print(type(model).__name__, 'transformers' in sys.modules)"
    )
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": f"{PROJECT / 'contract'}:{PROJECT / 'inference'}",
        "WHISPERSTACK_MODEL_DIGEST": DIGEST,
    }
    command = [sys.executable, "-c", script, str(huggingface_folder)]
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert run.stdout.split() == ["Transcriber", "False"]


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("config.json", {"model_type": "bert"}, "config.json describes a 'bert' model"),
        ("config.json", {"num_mel_bins": "many"}, "num_mel_bins in config.json is 'many'"),
        ("config.json", {"decoder_layers": 5}, "decoder.blocks.4.attn.key.weight is missing"),
        ("config.json", {"encoder_layers": 3}, "encoder.blocks.3.attn.key.weight is in no model of these dimensions"),
        ("config.json", {"max_source_positions": 1000}, "encoder.positional_embedding is torch.float"),
        ("config.json", {"num_mel_bins": 128}, "it must be floating-point numbers [384, 128, 3]"),
        ("config.json", {"decoder_attention_heads": 0}, "counted from 0"),
        ("config.json", {"encoder_attention_heads": 5}, "a width of 384 cannot be shared by 5 audio attention heads"),
        (
            "config.json",
            {"scale_embedding": True},
            "scale_embedding in config.json is True; set WHISPERSTACK_NUMERICS to exact: fast",
        ),
        ("config.json", {"activation_function": "relu"}, "activation_function in config.json is 'relu'"),
        ("generation_config.json", {"alignment_heads": None}, "alignment_heads in generation_config.json is None"),
        ("generation_config.json", {"alignment_heads": [[9, 9]]}, "the decoder has 4 layers of 6 heads"),
        ("generation_config.json", {"suppress_tokens": [999_999]}, "the token 999999; the model has 51864, counted from 0"),
        ("generation_config.json", {"lang_to_id": {"<|en|>": "x"}}, "lang_to_id in generation_config.json is {'<|en|>': 'x'}"),
        ("generation_config.json", {"suppress_tokens": None}, "suppress_tokens in generation_config.json is None"),
        ("generation_config.json", {"eos_token_id": "the end"}, "eos_token_id in generation_config.json is 'the end'"),
    ],
)
def test_what_a_file_must_not_say_is_named(
    copied: Path, refusal: Refusal, name: str, change: dict[str, object], told: str
) -> None:
    values = json.loads((copied / name).read_bytes())
    (copied / name).write_text(json.dumps({**values, **change}))
    assert told in refusal()


@pytest.mark.parametrize("numerics", ["fast", "exact"])
def test_settings_as_transformers_may_write_them_are_understood(
    copied: Path, handler: ModuleType, jfk: bytes, monkeypatch: pytest.MonkeyPatch, numerics: str
) -> None:
    monkeypatch.setenv("WHISPERSTACK_NUMERICS", numerics)
    configuration = copied / "config.json"
    configuration.write_text(json.dumps({**json.loads(configuration.read_bytes()), "tie_word_embeddings": False}))
    path = copied / "generation_config.json"
    values = json.loads(path.read_bytes())
    end, start = values["eos_token_id"], values["decoder_start_token_id"]
    changed = {"eos_token_id": [end], "decoder_start_token_id": [start], "begin_suppress_tokens": [], "suppress_tokens": []}
    path.write_text(json.dumps({**values, **changed}))
    answer = handler.transform_fn(handler.model_fn(str(copied)), jfk, "audio/mpeg", "application/json", Context())
    assert "fellow Americans" in Transcript.from_json(answer).text


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"[]", b"\xff"])
def test_a_damaged_file_is_named(copied: Path, refusal: Refusal, name: str, content: bytes | None) -> None:
    if content is None:
        (copied / name).unlink()
    else:
        (copied / name).write_bytes(content)
    assert name in refusal()


def test_weights_of_another_model_are_refused(copied: Path, refusal: Refusal) -> None:
    """As built: their digest is the manifest's."""
    weights, manifest = copied / "model.safetensors", copied / "whisperstack.json"
    state = load_file(weights)
    save_file(
        {**state, "model.encoder.layers.0.self_attn.q_proj.lora_A.weight": state["model.encoder.conv1.bias"].clone()}, weights
    )
    values = json.loads(manifest.read_bytes())
    values["files"]["model.safetensors"] = sha256(weights.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(values))
    assert "lora_A.weight', which Whisper does not have" in refusal()
