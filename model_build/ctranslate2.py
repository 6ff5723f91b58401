"""Reader of CTranslate2's model.bin: the table of variables, with the weights left where they lie.

Layout, little endian. A text is its length with the closing NUL (u16), then the bytes.

    version u32, specification text, revision u32
    count u32, then for each variable: name text, rank u8, shape u32 x rank, type u8, size in bytes u32, data
    count u32, then for each alias: alias text, name of the variable it stands for text

Source: CTranslate2, python/ctranslate2/specs/model_spec.py (writer) and src/models/model.cc (reader), binary version 6.
"""

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Final

from model_build.errors import BuildError

MODEL_FILENAME: Final = "model.bin"

BINARY_VERSION: Final = 6
_MOST_DIMENSIONS: Final = 8  # convolution weights, the deepest that Whisper has, need three

Buffer = mmap.mmap | bytearray


@dataclass(frozen=True)
class ElementType:
    name: str
    size_bytes: int


# In the order of the writer's type ids.
ELEMENT_TYPES: Final = (
    ElementType("float32", 4),
    ElementType("int8", 1),
    ElementType("int16", 2),
    ElementType("int32", 4),
    ElementType("float16", 2),
    ElementType("bfloat16", 2),
)


@dataclass(frozen=True)
class Variable:
    """Where one variable lies. offset: bytes from the start of the file; a shape of () is a scalar."""

    name: str
    shape: tuple[int, ...]
    element: ElementType
    offset: int

    @property
    def size_bytes(self) -> int:
        return prod(self.shape) * self.element.size_bytes


@dataclass(frozen=True)
class CTranslate2Model:
    """buffer: the whole file. variables: by name, and by each alias as well."""

    buffer: Buffer
    specification: str
    revision: int
    variables: Mapping[str, Variable]

    def bytes_of(self, variable: Variable) -> bytes:
        return bytes(self.buffer[variable.offset : variable.offset + variable.size_bytes])


def open_model(folder: Path) -> CTranslate2Model:
    """Maps model.bin of a CTranslate2 folder into memory. Raises BuildError where it is missing or malformed."""
    path = folder / MODEL_FILENAME
    if not path.is_file():
        raise BuildError(f"{folder} has no {MODEL_FILENAME}; give the folder of a CTranslate2 Whisper model")
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        raise BuildError(f"{path} is empty; copy the model again")
    with path.open("rb") as file:
        # A private, writable mapping: torch wants memory that it could write to, and the file must stay as it is.
        return parse_model(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))


def parse_model(buffer: Buffer) -> CTranslate2Model:
    """The table of variables in `buffer`. Raises BuildError, with the offending value, where it is malformed."""
    cursor = _Cursor(buffer)
    version = cursor.number("I", "binary version")
    if version != BINARY_VERSION:
        raise BuildError(
            f"{MODEL_FILENAME} has binary version {version}; this reader knows {BINARY_VERSION}; "
            f"convert the model again with CTranslate2 3 or 4"
        )
    specification = cursor.text("specification name")
    revision = cursor.number("I", "specification revision")
    variables = _read_variables(cursor)
    aliases = _read_aliases(cursor, variables)
    if cursor.position != len(buffer):
        raise BuildError(
            f"{MODEL_FILENAME} has {len(buffer) - cursor.position} bytes after its last entry, at byte {cursor.position}; "
            f"copy the model again"
        )
    return CTranslate2Model(buffer, specification, revision, {**variables, **aliases})


class _Cursor:
    """Reads forward through a buffer and never past its end."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self.position = 0

    def number(self, code: str, what: str) -> int:
        """code: of the struct module, such as 'I'."""
        layout = struct.Struct(f"<{code}")
        return int(layout.unpack(self._take(layout.size, what))[0])

    def text(self, what: str) -> str:
        start = self.position
        raw = self._take(self.number("H", what), what)
        if not raw.endswith(b"\0"):
            raise BuildError(f"the {what} at byte {start} of {MODEL_FILENAME} is {raw!r}, without the closing NUL; {_REMEDY}")
        try:
            return raw[:-1].decode()
        except UnicodeDecodeError as error:
            raise BuildError(
                f"the {what} at byte {start} of {MODEL_FILENAME} is {raw!r}, which is no UTF-8; {_REMEDY}"
            ) from error

    def skip(self, size_bytes: int, what: str) -> int:
        """Moves past `size_bytes` and returns where they start."""
        start = self.position
        if size_bytes > len(self._buffer) - start:
            raise BuildError(
                f"{MODEL_FILENAME} ends at byte {len(self._buffer)}, "
                f"but the {what} takes {size_bytes} bytes from byte {start}; {_REMEDY}"
            )
        self.position += size_bytes
        return start

    def _take(self, size_bytes: int, what: str) -> bytes:
        start = self.skip(size_bytes, what)
        return bytes(self._buffer[start : start + size_bytes])


_REMEDY: Final = "it is cut off or damaged: copy the model again"


def _read_variables(cursor: _Cursor) -> dict[str, Variable]:
    variables: dict[str, Variable] = {}
    count = cursor.number("I", "number of variables")
    for number in range(1, count + 1):
        variable = _read_variable(cursor, f"variable {number} of {count}")
        if variable.name in variables:
            raise BuildError(f"{MODEL_FILENAME} holds the variable {variable.name!r} twice; {_REMEDY}")
        variables[variable.name] = variable
    return variables


def _read_variable(cursor: _Cursor, which: str) -> Variable:
    name = cursor.text(f"name of {which}")
    rank = cursor.number("B", f"rank of {name!r}")
    if rank > _MOST_DIMENSIONS:
        raise BuildError(f"variable {name!r} has {rank} dimensions; the limit is {_MOST_DIMENSIONS}; {_REMEDY}")
    shape = tuple(cursor.number("I", f"shape of {name!r}") for _ in range(rank))
    type_id = cursor.number("B", f"type of {name!r}")
    if type_id >= len(ELEMENT_TYPES):
        known = ", ".join(f"{number} {element.name}" for number, element in enumerate(ELEMENT_TYPES))
        raise BuildError(f"variable {name!r} has type {type_id}; known are {known}; {_REMEDY}")
    size_bytes = cursor.number("I", f"size of {name!r}")
    variable = Variable(name, shape, ELEMENT_TYPES[type_id], cursor.skip(size_bytes, f"data of {name!r}"))
    if size_bytes != variable.size_bytes:
        raise BuildError(
            f"variable {name!r} has {size_bytes} bytes, but {variable.element.name} {list(shape)} takes "
            f"{variable.size_bytes}; {_REMEDY}"
        )
    return variable


def _read_aliases(cursor: _Cursor, variables: Mapping[str, Variable]) -> dict[str, Variable]:
    aliases: dict[str, Variable] = {}
    count = cursor.number("I", "number of aliases")
    for number in range(1, count + 1):
        alias = cursor.text(f"alias {number} of {count}")
        target = cursor.text(f"target of the alias {alias!r}")
        if target not in variables:
            raise BuildError(f"the alias {alias!r} stands for {target!r}, which {MODEL_FILENAME} does not hold; {_REMEDY}")
        aliases[alias] = variables[target]
    return aliases
