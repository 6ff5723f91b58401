"""Writes a safetensors file tensor by tensor, so that memory stays flat; the library maps them all, and writes the same bytes.

Format: length of the header (u64, little endian), the header (JSON, filled with spaces to a multiple of eight), the numbers.
Source: safetensors, README.md and safetensors/src/tensor.rs (the order of the types, and in a type of the names).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from model_build.mapped_memory import release

# In the order in which a file has them.
_TYPES: Final = {torch.float64: "F64", torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
_ALIGNMENT_BYTES: Final = 8


def write_safetensors(state: Mapping[str, torch.Tensor], path: Path) -> None:
    """state: contiguous tensors of floating-point numbers."""
    order = list(_TYPES)
    names = sorted(state, key=lambda name: (order.index(state[name].dtype), name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        start, end = end, end + state[name].nbytes
        header[name] = {"dtype": _TYPES[state[name].dtype], "shape": list(state[name].shape), "data_offsets": [start, end]}
    encoded = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    encoded += b" " * (-len(encoded) % _ALIGNMENT_BYTES)
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for name in names:
            file.write(state[name].view(torch.uint8).numpy().data)
            release([state[name]])
