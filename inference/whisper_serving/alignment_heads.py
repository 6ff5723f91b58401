"""Which heads of the cross-attention follow the sound, as openai-whisper knows it for its official models."""

import ast
import base64
import gzip
from collections.abc import Mapping

import numpy as np

from whisper_serving.whisper_tokenizer import package_folder


def alignment_heads(dims: Mapping[str, int], model: str) -> list[tuple[int, int]]:
    """(layer, head) each; of models that are not official, all of the decoder's upper half. Source: openai-whisper model.py."""
    layers, heads = dims["n_text_layer"], dims["n_text_head"]
    mask = np.zeros((layers, heads), dtype=bool)
    mask[layers // 2 :] = True
    if (known := _official().get(model)) is not None and known.size == mask.size:
        mask = known.reshape(layers, heads)
    return [(int(layer), int(head)) for layer, head in np.argwhere(mask)]


def _official() -> dict[str, np.ndarray]:
    """By model. Read out of the package's source: importing it takes longer than loading a model."""
    tree = ast.parse((package_folder() / "__init__.py").read_text(encoding="utf-8"))
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", None) == "_ALIGNMENT_HEADS":
            packed: dict[str, bytes] = ast.literal_eval(statement.value)
            return {name: np.frombuffer(gzip.decompress(base64.b85decode(heads)), dtype=bool) for name, heads in packed.items()}
    return {}
