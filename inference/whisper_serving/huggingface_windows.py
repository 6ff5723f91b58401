"""One window at a time through transformers' Whisper: encode, decode with a cache, detect the language, align."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from tokenizers import Tokenizer
from transformers import DynamicCache, EncoderDecoderCache, WhisperForConditionalGeneration

from whisper_serving.token_rules import Vocabulary
from whisper_serving.window_decoding import DecodedWindow, WindowDecoder

# Half of the text context is for what was said before, half for what is said now. Source: openai-whisper decoding.py.
_PROMPT_SHARE: Final = 2


class _Steps:
    """The rows of one window, and what the decoder has cached of them."""

    def __init__(self, model: Any, sound: torch.Tensor) -> None:
        self._model = model
        self._sound = sound
        self._cache: Any = EncoderDecoderCache(DynamicCache(), DynamicCache())

    def advance(self, tokens: torch.Tensor, wanted: Sequence[int] = (-1,)) -> torch.Tensor:
        output = self._model(
            encoder_outputs=(self._sound,),
            decoder_input_ids=tokens,
            past_key_values=self._cache,
            use_cache=True,
            return_dict=True,
        )
        self._cache = output.past_key_values
        return output.logits[:, list(wanted)].float()  # type: ignore[no-any-return]

    def select(self, rows: Sequence[int]) -> None:
        index = torch.tensor(list(rows), device=self._sound.device)
        self._sound = self._sound[index]
        self._cache.reorder_cache(index)


class HuggingFaceWindows:
    """heads: (layer, head) of the cross-attention that follows the audio."""

    def __init__(
        self,
        model: WhisperForConditionalGeneration,
        tokenizer: Tokenizer,
        vocabulary: Vocabulary,
        heads: Sequence[tuple[int, int]],
    ) -> None:
        self.vocabulary = vocabulary
        self.model: Any = model
        self.tokenizer = tokenizer
        self.heads = heads
        self.n_text = model.config.max_target_positions
        self._decoder = WindowDecoder(vocabulary, self.n_text // _PROMPT_SHARE, model.device)

    def speaking(self, language: str, translate: bool, most_rows: int) -> "SpokenWindows":
        """The same model, asked for one language and task."""
        known = self.vocabulary
        start = [known.start_of_transcript]
        if known.languages:
            start += [known.languages[language], known.translate if translate else known.transcribe]
        return SpokenWindows(self, tuple(start), most_rows)

    def detect_language(self, mel: torch.Tensor) -> tuple[str, float]:
        """(code, probability) of the language in float32 [n_mels, 3000]. Source: openai-whisper decoding.py."""
        start = torch.tensor([[self.vocabulary.start_of_transcript]], device=self.model.device)
        logits = self.steps(mel).advance(start)[0, -1]
        codes, tokens = list(self.vocabulary.languages), list(self.vocabulary.languages.values())
        probabilities = logits[tokens].softmax(-1)
        best = int(probabilities.argmax())
        return codes[best], float(probabilities[best])

    def steps(self, mel: torch.Tensor) -> _Steps:
        return _Steps(self.model, self.encode(mel))

    def encode(self, mel: torch.Tensor) -> torch.Tensor:
        """[1, 1500, width] of float32 [n_mels, 3000]."""
        encoder = self.model.get_encoder()
        return encoder(mel[None].to(self.model.device, self.model.dtype)).last_hidden_state  # type: ignore[no-any-return]

    def decode(
        self, mel: torch.Tensor, prompt: Sequence[int], temperature: float, beam_size: int | None, most_rows: int
    ) -> DecodedWindow:
        return self._decoder.decode(self.steps(mel), prompt, temperature, beam_size, most_rows)


@dataclass(frozen=True)
class SpokenWindows:
    """A WindowRecogniser. start: the start-of-transcript sequence. most_rows: decoded at once."""

    windows: HuggingFaceWindows
    start: tuple[int, ...]
    most_rows: int

    @property
    def prompt_tokens(self) -> int:
        return int(self.windows.n_text // _PROMPT_SHARE - 1)

    def decode(self, mel: torch.Tensor, prompt: Sequence[int], temperature: float, beam_size: int | None) -> DecodedWindow:
        previous = [self.windows.vocabulary.start_of_previous, *prompt[-self.prompt_tokens :]] if prompt else []
        return self.windows.decode(mel, [*previous, *self.start], temperature, beam_size, self.most_rows)

    def text_of(self, tokens: Sequence[int]) -> str:
        spoken = [token for token in tokens if token < self.windows.vocabulary.end_of_text]
        return str(self.windows.tokenizer.decode(spoken, skip_special_tokens=False))

    def tokens_of(self, text: str) -> list[int]:
        return list(self.windows.tokenizer.encode(text, add_special_tokens=False).ids)

    def attend(self, tokens: Sequence[int], mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(logits [n, n_vocab], attention before softmax [heads, n, 1500]), both float32 on the CPU."""
        windows = self.windows
        kept: dict[tuple[int, str], torch.Tensor] = {}
        layers = windows.model.model.decoder.layers
        hooks = []
        for number in {layer for layer, _ in windows.heads}:
            for name in ("q_proj", "k_proj"):

                def keep(_module: Any, _inputs: Any, output: torch.Tensor, key: tuple[int, str] = (number, name)) -> None:
                    kept[key] = output

                hooks.append(getattr(layers[number].encoder_attn, name).register_forward_hook(keep))
        try:
            ids = torch.tensor([list(tokens)], device=windows.model.device)
            output = windows.model(
                encoder_outputs=(windows.encode(mel),), decoder_input_ids=ids, use_cache=False, return_dict=True
            )
        finally:
            for hook in hooks:
                hook.remove()
        n_heads = windows.model.config.decoder_attention_heads

        def head(number: int, name: str, index: int) -> torch.Tensor:
            values = kept[number, name][0].float()
            return values.view(values.shape[0], n_heads, -1)[:, index]

        scale = (windows.model.config.d_model // n_heads) ** -0.5
        attention = [head(layer, "q_proj", index) @ head(layer, "k_proj", index).T * scale for layer, index in windows.heads]
        return output.logits[0].float().cpu(), torch.stack(attention).cpu()
