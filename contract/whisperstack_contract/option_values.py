"""What each option may be: read from JSON, or from the text of an object's metadata."""

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NoReturn

from whisperstack_contract.errors import InvalidOptionsError
from whisperstack_contract.languages import LANGUAGES

NONE: Final = "none"  # in metadata, which has no null
AUTO: Final = "auto"

# So much of a wrong value helps a person; more would fill an announcement.
_QUOTED_CHARS: Final = 80
# As JSON writes numbers, which has no leading zeros.
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?")

Reader = Callable[[object], Any]


@dataclass(frozen=True)
class OptionSpec:
    """meaning, allowed: for people. read: from a JSON value, with ValueError for one that is not allowed.

    parse: from text to a JSON value.
    """

    meaning: str
    allowed: str
    read: Reader
    parse: Callable[[str], object]

    def value(self, name: str, found: object) -> Any:
        """The option's value. Raises InvalidOptionsError with what is allowed."""
        try:
            return self.read(found)
        except ValueError as error:
            hint = f" ({error})" if str(error) else ""
            raise InvalidOptionsError(f"{name} is {quoted(found)}{hint}; allowed: {self.allowed}") from error


def quoted(found: object) -> str:
    """A wrong value, in short, and without characters that UTF-8 cannot hold."""
    text = repr(found)
    return text if len(text) <= _QUOTED_CHARS else text[:_QUOTED_CHARS] + "…"


def language(meaning: str) -> OptionSpec:
    def read(found: object) -> str | None:
        if found is None or found == AUTO:
            return None
        if isinstance(found, str) and found in LANGUAGES:
            return found
        lower = str(found).lower()
        meant = lower if lower in LANGUAGES else next((code for code, name in LANGUAGES.items() if name == lower), None)
        _refuse(f"say {meant!r}" if meant else "")

    return OptionSpec(meaning, f"`{AUTO}` or null to detect it, or one of {', '.join(LANGUAGES)}", read, parse_scalar)


def choice(meaning: str, kind: type[StrEnum]) -> OptionSpec:
    def read(found: object) -> StrEnum:
        return kind(found) if isinstance(found, str) and found in set(kind) else _refuse()

    return OptionSpec(meaning, ", ".join(f"`{member}`" for member in kind), read, parse_scalar)


def flag(meaning: str) -> OptionSpec:
    def read(found: object) -> bool:
        return found if isinstance(found, bool) else _refuse()

    return OptionSpec(meaning, "`true`, `false`", read, parse_scalar)


def integer(meaning: str, low: int, high: int) -> OptionSpec:
    def read(found: object) -> int:
        return found if isinstance(found, int) and not isinstance(found, bool) and low <= found <= high else _refuse()

    return OptionSpec(meaning, f"{low} to {high}", read, parse_scalar)


def seconds(meaning: str, high: float) -> OptionSpec:
    def read(found: object) -> float:
        value = _number(found, high)
        return value if value > 0 else _refuse()

    return OptionSpec(meaning, f"seconds above 0, at most {high:.0f}", read, parse_scalar)


def text(meaning: str, most_chars: int) -> OptionSpec:
    def read(found: object) -> str | None:
        if not isinstance(found, str):
            _refuse()
        if len(found) > most_chars:
            _refuse(f"{len(found)} characters")
        if any(_is_no_text(character) for character in found):
            _refuse("with control characters, or halves of surrogate pairs")
        return found if found.strip() else None

    allowed = f"text of at most {most_chars} characters; null or an empty text for none"
    return OptionSpec(meaning, allowed, _or_none(read), str)


def numbers(meaning: str, high: float, most: int) -> OptionSpec:
    """A list of numbers 0..high, at least one; a single number is a list of one."""

    def read(found: object) -> tuple[float, ...]:
        listed = _listed(found)
        return tuple(_number(each, high) for each in listed) if 1 <= len(listed) <= most else _refuse()

    return OptionSpec(meaning, f"1 to {most} numbers, each 0 to {high:g}", read, parse_list)


def choices(meaning: str, known: Sequence[str]) -> OptionSpec:
    """A list of `known` words, in their order and each once; may be empty."""

    def read(found: object) -> tuple[str, ...]:
        listed = _listed(found)
        if not all(isinstance(each, str) and each in known for each in listed):
            _refuse()
        return tuple(word for word in known if word in listed)

    return OptionSpec(meaning, f"a list of {', '.join(f'`{word}`' for word in known)}", read, parse_list)


def optional(spec: OptionSpec) -> OptionSpec:
    """The same, or null."""
    return OptionSpec(spec.meaning, f"{spec.allowed}; or null for none", _or_none(spec.read), spec.parse)


def parse_scalar(found: str) -> object:
    """A word, a number, or what stands for true, false and null. Never raises: what is not allowed, `read` refuses."""
    word = found.strip()
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    if word.lower() == NONE:
        return None
    return json.loads(word) if _NUMBER.fullmatch(word) else word


def parse_list(found: str) -> object:
    """'txt, srt' as a list; an empty text, or 'none', as an empty one."""
    if found.strip().lower() in ("", NONE):
        return []
    return [parse_scalar(each) for each in found.split(",")]


def _or_none(read: Reader) -> Reader:
    return lambda found: None if found is None else read(found)


def _listed(found: object) -> Sequence[object]:
    return found if isinstance(found, list | tuple) else (found,)


def _number(found: object, high: float) -> float:
    # Compared before it is converted: an int can be too large for a float. No comparison holds for a NaN.
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found <= high else _refuse()


def _refuse(hint: str = "") -> NoReturn:
    raise ValueError(hint)


def _is_no_text(character: str) -> bool:
    category = unicodedata.category(character)
    return category == "Cs" or (category == "Cc" and character not in "\t\n")
