"""Windows through transformers' Whisper, one after another: encode, decode with a cache, detect the language, align."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache, EncoderDecoderCache, WhisperForConditionalGeneration

from whisper_serving.huggingface_tokenizer import HuggingFaceTokenizer
from whisper_serving.window_decoding import PROMPT_SHARE, DecodedWindow, WindowDecoder


class _Steps:
    """The rows of one window, and what the decoder has cached of them. sound: [rows, 1500, width]."""

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
    """heads: (layer, head) of the cross-attention that follows the audio. filters: float32 [n_mels, 201]."""

    def __init__(
        self,
        model: WhisperForConditionalGeneration,
        tokenizer: HuggingFaceTokenizer,
        heads: Sequence[tuple[int, int]],
        filters: torch.Tensor,
    ) -> None:
        self.tokenizer, self.filters = tokenizer, filters
        self.n_text: int = model.config.max_target_positions
        self.window_decoder = WindowDecoder(tokenizer.vocabulary, self.n_text, model.device)
        self._model: Any = model
        self._heads = heads

    def speaking(self, language: str, translate: bool, most_rows: int) -> "SpokenWindows":
        """The same model, asked for one language and task, a window at a time."""
        known = self.tokenizer.vocabulary
        start = [known.start_of_transcript]
        if known.languages:
            start += [known.languages[language], known.translate if translate else known.transcribe]
        return SpokenWindows(self, tuple(start), most_rows)

    def encode(self, mel: torch.Tensor) -> torch.Tensor:
        """[1500, width] of float32 [n_mels, 3000]."""
        encoder = self._model.get_encoder()
        return encoder(mel[None].to(self._model.device, self._model.dtype)).last_hidden_state[0]  # type: ignore[no-any-return]

    def begin(self, sound: torch.Tensor) -> _Steps:
        return _Steps(self._model, sound[None])

    def detect_language(self, sound: torch.Tensor) -> tuple[str, float]:
        """(code, probability). Source: openai-whisper decoding.py."""
        known = self.tokenizer.vocabulary
        start = torch.tensor([[known.start_of_transcript]], device=sound.device)
        logits = self.begin(sound).advance(start)[0, -1]
        codes, tokens = list(known.languages), list(known.languages.values())
        probabilities = logits[tokens].softmax(-1)
        best = int(probabilities.argmax())
        return codes[best], float(probabilities[best])

    def attend(self, sound: torch.Tensor, tokens: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        kept: dict[tuple[int, str], torch.Tensor] = {}
        layers = self._model.model.decoder.layers
        hooks = []
        for number in {layer for layer, _ in self._heads}:
            for name in ("q_proj", "k_proj"):

                def keep(_module: Any, _inputs: Any, output: torch.Tensor, key: tuple[int, str] = (number, name)) -> None:
                    kept[key] = output

                hooks.append(getattr(layers[number].encoder_attn, name).register_forward_hook(keep))
        try:
            ids = torch.tensor([list(tokens)], device=sound.device)
            output = self._model(encoder_outputs=(sound[None],), decoder_input_ids=ids, use_cache=False, return_dict=True)
        finally:
            for hook in hooks:
                hook.remove()
        n_heads = self._model.config.decoder_attention_heads

        def head(number: int, name: str, index: int) -> torch.Tensor:
            values = kept[number, name][0].float()
            return values.view(values.shape[0], n_heads, -1)[:, index]

        scale = (self._model.config.d_model // n_heads) ** -0.5
        attention = [head(layer, "q_proj", index) @ head(layer, "k_proj", index).T * scale for layer, index in self._heads]
        return output.logits[0].float().cpu(), torch.stack(attention).cpu()


@dataclass(frozen=True)
class SpokenWindows:
    """A WindowRecogniser. start: the start-of-transcript sequence. most_rows: decoded at once."""

    windows: HuggingFaceWindows
    start: tuple[int, ...]
    most_rows: int

    @property
    def prompt_tokens(self) -> int:
        return self.windows.n_text // PROMPT_SHARE - 1

    def decode(self, mel: torch.Tensor, prompt: Sequence[int], temperature: float, beam_size: int | None) -> DecodedWindow:
        before = self.windows.tokenizer.vocabulary.start_of_previous
        previous = [before, *prompt[-self.prompt_tokens :]] if prompt else []
        steps = self.windows.begin(self.windows.encode(mel))
        whole = [*previous, *self.start]
        return self.windows.window_decoder.decode(steps, whole, temperature, beam_size, self.most_rows)

    def text_of(self, tokens: Sequence[int]) -> str:
        return self.windows.tokenizer.text_of(tokens)

    def tokens_of(self, text: str) -> list[int]:
        return self.windows.tokenizer.tokens_of(text)
