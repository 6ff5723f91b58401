"""The heads that words are timed by are the archive's own, so that a fine-tuned model's are used."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.serving.conftest import DIGEST, Context
from whisperstack_contract.errors import ErrorDocument
from whisperstack_contract.transcript import Transcript

pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*(tiktoken|english.json):ResourceWarning")

Ask = Callable[[str | None], bytes]


@pytest.fixture
def ask(model_folder: Path, handler: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jfk: bytes) -> Ask:
    """The answer to the sample by a model with this text for its card; None for no card."""
    monkeypatch.setenv("WHISPERSTACK_MODEL_DIGEST", DIGEST)

    def ask(card: str | None) -> bytes:
        folder = tmp_path / "model"
        shutil.copytree(model_folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("model-card.json"))
        if card is not None:
            (folder / "model-card.json").write_text(card)
        context = Context({"X-Amzn-SageMaker-Custom-Attributes": json.dumps({"word_timestamps": True})})
        answer: bytes = handler.transform_fn(handler.model_fn(str(folder)), jfk, "audio/mpeg", "application/json", context)
        return answer

    return ask


@pytest.mark.parametrize("numerics", ["exact", "fast"])
def test_words_are_timed_by_the_heads_that_the_card_names(
    ask: Ask, model_folder: Path, monkeypatch: pytest.MonkeyPatch, numerics: str
) -> None:
    monkeypatch.setenv("WHISPERSTACK_NUMERICS", numerics)
    card = json.loads((model_folder / "model-card.json").read_bytes())
    official = Transcript.from_json(ask(json.dumps(card)))
    others = Transcript.from_json(ask(json.dumps({**card, "alignment_heads": [[0, 0]]})))
    assert official.text == others.text
    assert [word.end for word in official.words or ()] != [word.end for word in others.words or ()]


@pytest.mark.parametrize(
    ("card", "told"),
    [
        (None, "the model archive has no model-card.json; build it again"),
        ("{}", "names no alignment heads, pairs of layer and head"),
        ("[", "names no alignment heads, pairs of layer and head"),
        ('{"alignment_heads": []}', "the decoder has 4 layers of 6 heads, counted from 0"),
        ('{"alignment_heads": [[3, 6]]}', "names the alignment heads [(3, 6)]; the decoder has 4 layers of 6 heads"),
    ],
)
def test_a_model_whose_card_does_not_say_them_does_not_serve(ask: Ask, card: str | None, told: str) -> None:
    error = ErrorDocument.from_json(ask(card))
    assert error is not None
    assert error.code == "model_unavailable"
    assert told in error.message
