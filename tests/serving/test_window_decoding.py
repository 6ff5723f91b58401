"""A decoder that never comes to an end is stopped before the model's text context is."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from whisper_serving.engines import load_engine
from whisper_serving.fast_engine import FastEngine
from whisper_serving.settings import Settings
from whisper_serving.token_rules import Vocabulary
from whisper_serving.window_decoding import WindowDecoder

pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*(tiktoken|english.json):ResourceWarning")

N_TEXT = 448
WORD = 7


class _Endless:
    """Says one word for ever, and remembers how many tokens it was given."""

    def __init__(self, n_vocab: int) -> None:
        self.given, self._n_vocab = 0, n_vocab

    def advance(self, tokens: torch.Tensor, wanted: Sequence[int] = (-1,)) -> torch.Tensor:
        self.given += tokens.shape[1]
        logits = torch.zeros(len(tokens), len(wanted), self._n_vocab)
        logits[:, :, WORD] = 100
        return logits

    def select(self, rows: Sequence[int]) -> None:
        pass


@pytest.fixture(scope="module")
def vocabulary(model_folder: Path) -> Vocabulary:
    engine = load_engine(model_folder, Settings("", ""))
    assert isinstance(engine, FastEngine)
    return engine.weights.tokenizer.vocabulary


@pytest.mark.parametrize(("temperature", "beam_size"), [(0.0, None), (0.0, 3), (0.4, None)])
@pytest.mark.parametrize(("n_previous", "said"), [(0, 224), (222, 224), (223, 224), (225, 222)])
def test_no_more_is_said_than_the_context_holds(
    vocabulary: Vocabulary, temperature: float, beam_size: int | None, n_previous: int, said: int
) -> None:
    """Lengths are those at which openai-whisper's loop ends: the last word is never given back to the decoder."""
    steps = _Endless(vocabulary.first_timestamp + 1501)
    prompt = [vocabulary.start_of_previous, *[WORD] * n_previous, vocabulary.start_of_transcript]
    decoder = WindowDecoder(vocabulary, N_TEXT, torch.device("cpu"))
    found = decoder.decode(steps, prompt, temperature, beam_size, most_rows=5)
    assert len(found.tokens) == said
    assert steps.given == len(prompt) + said - 1 <= N_TEXT
