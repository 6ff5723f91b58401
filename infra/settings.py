"""What all settings have in common: each value is of the type that its class names, or one sentence tells which is not."""

import inspect
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from enum import Enum
from functools import cache
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from infra.errors import ConfigurationError

_PLAIN: Final = {int: "a whole number", float: "a number", str: "a text", bool: "True or False", types.NoneType: "None"}

# More of them would hide the sentence.
_MOST_MEMBERS: Final = 5


class _Checking(type):
    """Looks at what a class of settings is called with, before its own rules do, which compare and so need the types."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        given = _bound(cls, args, kwargs)
        for name, value in given.items():
            _require_type(f"{name} of {cls.__name__}", value, _hints(cls)[name])
        return super().__call__(*args, **kwargs)


class Settings(metaclass=_Checking):
    """Of dataclasses. Raises ConfigurationError for a value of another type than annotated, and for a name that is none.

    Classes of the contract, which may be values here, check their own.
    """


def _bound(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    known = list(_hints(cls))
    for name in kwargs:
        if name not in known:
            close = get_close_matches(name, known, 1)
            remedy = f"write {close[0]}" if close else f"choose one of: {', '.join(known)}"
            raise ConfigurationError(f"{cls.__name__} has no setting {name!r}; {remedy} in infra/environments.py")
    try:
        # Of the function, whose first argument is the object; the class's own would be that of the metaclass.
        given = inspect.signature(vars(cls)["__init__"]).bind(None, *args, **kwargs)
    except TypeError as error:
        raise ConfigurationError(f"{cls.__name__}: {error}; correct it in infra/environments.py") from error
    return {name: value for name, value in given.arguments.items() if name in known}


@cache
def _hints(cls: Any) -> Mapping[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


def _require_type(name: str, value: Any, hint: Any) -> None:
    if mismatch := next(_mismatches(name, value, hint), None):
        what, found, wanted = mismatch
        raise ConfigurationError(f"{what} is {found!r}; it must be {_described(wanted)}; change it")


def _mismatches(name: str, value: Any, hint: Any) -> Iterator[tuple[str, Any, Any]]:
    """(name, value, annotation) of every value that is not as annotated, the parts of it included."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if not any(_fits(value, part) for part in parts):
            # Of the one that is of the right kind, so that the part of it is told which is wrong.
            kind = next((part for part in parts if isinstance(value, get_origin(part) or part)), None)
            yield from _mismatches(name, value, kind) if kind is not None and not _is_plain(kind) else [(name, value, hint)]
    elif not _is_of(value, origin or hint):
        yield name, value, hint
    elif origin is not None and issubclass(origin, Mapping):
        for key, each in value.items():
            yield from _mismatches(f"a key of {name}", key, parts[0])
            yield from _mismatches(f"{name}, {key!r}", each, parts[1])
    elif origin is tuple:
        for each in value:
            yield from _mismatches(f"one of {name}", each, parts[0])


def _fits(value: Any, hint: Any) -> bool:
    return next(_mismatches("", value, hint), None) is None


def _is_plain(hint: Any) -> bool:
    return hint in _PLAIN


def _is_of(value: Any, kind: Any) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _described(hint: Any) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_described(part) for part in parts)
    if origin is tuple:
        return f"a tuple, each of it {_described(parts[0])}"
    if origin is not None:
        return f"a mapping, from {_described(parts[0])} to {_described(parts[1])}"
    if hint in _PLAIN:
        return _PLAIN[hint]
    if issubclass(hint, Enum):
        members = [str(f"{hint.__name__}.{member.name}") for member in hint]
        return f"one of {', '.join(members[:_MOST_MEMBERS])}{' …' if len(members) > _MOST_MEMBERS else ''}"
    return f"an object of the class {hint.__name__}"
