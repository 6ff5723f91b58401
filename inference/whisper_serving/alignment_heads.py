"""Which heads of the cross-attention follow the sound, as the archive's model card says it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from whisperstack_contract.artefact import MODEL_CARD_FILENAME
from whisperstack_contract.errors import ModelUnavailableError


def read_alignment_heads(model_folder: Path, dims: Mapping[str, int]) -> list[tuple[int, int]]:
    """(layer, head) each. dims: of the checkpoint.

    Raises ModelUnavailableError where the card is missing or names heads that the decoder does not have.
    """
    path = model_folder / MODEL_CARD_FILENAME
    try:
        heads = [(int(layer), int(head)) for layer, head in json.loads(path.read_bytes())["alignment_heads"]]
    except FileNotFoundError as error:
        raise ModelUnavailableError(f"the model archive has no {MODEL_CARD_FILENAME}; build it again") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelUnavailableError(
            f"{MODEL_CARD_FILENAME} names no alignment heads, pairs of layer and head; build the archive again"
        ) from error
    try:
        check_heads(heads, dims)
    except ValueError as error:
        raise ModelUnavailableError(f"{MODEL_CARD_FILENAME} {error}") from error
    return heads


def check_heads(heads: Sequence[tuple[int, int]], dims: Mapping[str, int]) -> None:
    """Raises ValueError where there is none, or one that the decoder does not have."""
    layers, width = dims["n_text_layer"], dims["n_text_head"]
    if not heads or not all(0 <= layer < layers and 0 <= head < width for layer, head in heads):
        raise ValueError(
            f"names the alignment heads {heads}; the decoder has {layers} layers of {width} heads, "
            "counted from 0; build the archive again"
        )
