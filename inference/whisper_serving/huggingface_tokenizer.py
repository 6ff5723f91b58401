"""The tokenizer of a save_pretrained folder, which a fine-tuned model may have of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from whisper_serving.token_rules import Vocabulary


@dataclass(frozen=True)
class HuggingFaceTokenizer:
    vocabulary: Vocabulary
    tokenizer: Tokenizer

    def text_of(self, tokens: Sequence[int]) -> str:
        """Of the words among the tokens."""
        spoken = [token for token in tokens if token < self.vocabulary.end_of_text]
        return str(self.tokenizer.decode(spoken, skip_special_tokens=False))

    def tokens_of(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)
