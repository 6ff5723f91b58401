"""openai-whisper's tokenizer in the files of transformers' WhisperTokenizer.

openai-whisper ranks whole tokens (tiktoken); transformers wants the merges that lead to them. The pair that makes a token
is the one that byte-pair encoding with only the lower ranks leaves of it.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tokenizers import AddedToken
from transformers import WhisperTokenizer
from whisper.tokenizer import Tokenizer

from model_build.checkpoint import Checkpoint
from model_build.errors import BuildError
from model_build.huggingface_source import TOKENIZER, read_json
from model_build.vocabulary import tokenizer_of

_PLAIN_BYTES: Final = (*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1))


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """vocab.json, merges.txt, tokenizer.json and what belongs to them, for transformers 4 and 5."""
    encoding = tokenizer.encoding
    ranks: dict[bytes, int] = encoding._mergeable_ranks
    letters = _letters()
    vocabulary = {_spell(token, letters): rank for token, rank in ranks.items()}
    merges = [tuple(_spell(part, letters) for part in pair) for pair in _merges(ranks)]
    end = "<|endoftext|>"
    special = sorted(encoding._special_tokens.items(), key=lambda entry: entry[1])
    # transformers counts timestamps as ordinary additions: skipping special tokens must not skip them.
    named = [name for name, number in special if number < tokenizer.timestamp_begin]
    its_own = WhisperTokenizer(
        vocab={**vocabulary, end: tokenizer.eot}, merges=merges, model_max_length=448, additional_special_tokens=named
    )
    timestamps = [name for name, number in special if number >= tokenizer.timestamp_begin]
    its_own.add_tokens([AddedToken(name, special=False, normalized=False) for name in timestamps])
    for name, number in special:
        if its_own.convert_tokens_to_ids(name) != number:
            raise AssertionError(f"transformers numbers {name} {its_own.convert_tokens_to_ids(name)}, openai-whisper {number}")
    its_own.save_pretrained(folder)
    _rename_special_tokens(folder / "tokenizer_config.json")
    # transformers 4 reads these two beside tokenizer.json.
    _write_json(folder / "vocab.json", vocabulary | {end: tokenizer.eot})
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges))


def require_whispers_tokenizer(checkpoint: Checkpoint) -> None:
    """Raises BuildError where the weights came with another tokenizer than openai-whisper's, which has none but its own."""
    path = None if checkpoint.folder is None else checkpoint.folder / TOKENIZER
    if path is None or not path.is_file():
        return
    tokenizer = tokenizer_of(checkpoint.dims)
    letters, model = _letters(), read_json(path).get("model")
    expected = {rank: _spell(token, letters) for token, rank in tokenizer.encoding._mergeable_ranks.items()}
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    found = {number: token for token, number in vocabulary.items()} if isinstance(vocabulary, dict) else {}
    for number, token in expected.items():
        if found.get(number) != token:
            raise BuildError(
                f"{path} calls token {number} {found.get(number)!r}, openai-whisper {token!r}: the model has a tokenizer of "
                "its own; build it for the engine huggingface, which carries that"
            )


def _merges(ranks: dict[bytes, int]) -> list[tuple[bytes, bytes]]:
    pairs = []
    for token, rank in sorted(ranks.items(), key=lambda entry: entry[1]):
        if len(token) > 1:
            left, right = _encode_below(ranks, token, rank)
            pairs.append((left, right))
    return pairs


def _encode_below(ranks: dict[bytes, int], token: bytes, limit: int) -> list[bytes]:
    """Byte-pair encoding with ranks below `limit`."""
    parts = [bytes([byte]) for byte in token]
    while True:
        candidates = [(ranks.get(left + right, limit), index) for index, (left, right) in enumerate(pairwise(parts))]
        best, index = min(candidates, default=(limit, 0))
        if best >= limit:
            return parts
        parts[index : index + 2] = [parts[index] + parts[index + 1]]


def _letters() -> dict[int, str]:
    """A visible letter for every byte. Source: GPT-2's encoder.py, bytes_to_unicode."""
    letters = {byte: chr(byte) for byte in _PLAIN_BYTES}
    hidden = [byte for byte in range(256) if byte not in letters]
    return letters | {byte: chr(256 + index) for index, byte in enumerate(hidden)}


def _spell(token: bytes, letters: dict[int, str]) -> str:
    return "".join(letters[byte] for byte in token)


def _rename_special_tokens(path: Path) -> None:
    """transformers 5 writes a list under a name where 4 expects a table; both read the older name."""
    content = json.loads(path.read_text())
    content["additional_special_tokens"] = content.pop("extra_special_tokens")
    _write_json(path, content)


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False, sort_keys=False) + "\n")
