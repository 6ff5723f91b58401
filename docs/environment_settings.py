"""The page of everything that an environment can be told: settings, types, defaults and meanings, from the classes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from inspect import getdoc
from itertools import zip_longest
from typing import Any, Final, get_args, get_type_hints

from infra.environments import Environment
from infra.settings import Settings
from whisperstack_contract.options import TranscriptionOptions

# 'one, two: what they mean', as docstrings here say it.
_NAMES: Final = re.compile(r"(?:^|(?<=[.;] ))((?:[a-z_]+)(?:, [a-z_]+)*): ")


def page(notice: str) -> str:
    """notice: that the page is generated."""
    intro = (
        "Environments are values in `infra/environments.py`; this is all that can be said there. A synthesis refuses what is\n"
        "of another type, and what cannot work. Times are in UTC unless a setting names a time zone."
    )
    sections = [_section(cls) for cls in _classes(Environment, [])]
    return "\n".join(["# Settings of an environment", "", notice, "", intro, "", *sections])


def _classes(cls: Any, found: list[Any]) -> list[Any]:
    """Those of the tree, each once, after those that use it; a base before what is built on it."""
    for each in (*(base for base in reversed(cls.__mro__[1:]) if is_dataclass(base)), cls):
        if each not in found:
            found.append(each)
            for hint in get_type_hints(each).values():
                for part in _parts(hint):
                    # The options of a recording have a page of their own.
                    if isinstance(part, type) and is_dataclass(part) and part is not TranscriptionOptions:
                        _classes(part, found)
    return found


def _parts(hint: Any) -> Iterator[Any]:
    yield hint
    for part in get_args(hint):
        yield from _parts(part)


def _section(cls: Any) -> str:
    about, meanings = _read(cls)
    inherited = {field.name for base in cls.__mro__[1:] if is_dataclass(base) for field in fields(base)}
    own = [field for field in fields(cls) if field.name not in inherited]
    if unsaid := [field.name for field in own if field.name not in meanings]:
        raise ValueError(f"the docstring of {cls.__name__} does not say what {', '.join(unsaid)} means")
    hints = get_type_hints(cls)
    bases: list[Any] = [base for base in cls.__mro__[1:] if base is not Settings and is_dataclass(base)]
    beside = [f"Besides, everything of [{base.__name__}](#{base.__name__.lower()})."] if (bases and (base := bases[0])) else []
    rows = [f"| `{field.name}` | {_type(hints[field.name])} | {_default(field)} | {meanings[field.name]} |" for field in own]
    head = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    said = " ".join(filter(None, [about, *beside]))
    return "\n".join([f"## {cls.__name__}", "", *([said, ""] if said else []), *head, *rows, ""])


def _read(cls: Any) -> tuple[str, Mapping[str, str]]:
    """What the docstring says of the class, and of each of its fields."""
    about, meanings = [], {}
    known = {field.name for field in fields(cls)}
    for paragraph in (getdoc(cls) or "").split("\n\n"):
        # A line that begins with a name begins a new sentence, whatever stands before.
        text = " ".join(paragraph.split())
        marks = [mark for mark in _NAMES.finditer(text) if set(mark[1].split(", ")) <= known]
        about.append(text[: marks[0].start()] if marks else text)
        for mark, following in zip_longest(marks, marks[1:]):
            meaning = text[mark.end() : following.start() if following else len(text)].strip()
            for name in mark[1].split(", "):
                meanings[name] = (meaning[:1].upper() + meaning[1:]).replace("|", "\\|")
    return " ".join(part.strip() for part in about if part.strip()), meanings


def _type(hint: Any) -> str:
    plain = isinstance(hint, type) and not get_args(hint)
    # Without the modules that classes come from.
    text = hint.__name__ if plain else re.sub(r"[a-z_]+[.](?=[a-zA-Z_])", "", str(hint))
    return f"`{text}`".replace("|", "\\|")


def _default(field: Field[Any]) -> str:
    if field.default is MISSING and field.default_factory is MISSING:
        return "must be given"
    if field.default is MISSING:
        # Of a factory: a class of its own, or an empty mapping.
        made = field.default_factory
        return "none" if made is dict else f"`{getattr(made, '__name__', made)}()`"
    if isinstance(field.default, Enum):
        return f"`{type(field.default).__name__}.{field.default.name}`"
    return f"`{field.default!r}`"
