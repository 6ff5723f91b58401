"""Which heads of the cross-attention follow the sound, as the archive's model card says it."""

import json
from collections.abc import Mapping
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
    layers, width = dims["n_text_layer"], dims["n_text_head"]
    if not heads or not all(0 <= layer < layers and 0 <= head < width for layer, head in heads):
        raise ModelUnavailableError(
            f"{MODEL_CARD_FILENAME} names the alignment heads {heads}; the decoder has {layers} layers of {width} heads, "
            "counted from 0; build the archive again"
        )
    return heads
