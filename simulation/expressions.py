"""DynamoDB's language, as far as lambda/transcription_jobs speaks it. What else comes is an error, never a guess.

Values are kept as DynamoDB's API writes them, such as {"N": "5"}.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Final

Item = dict[str, Any]
Names = Mapping[str, str]
Values = Mapping[str, Any]

_SECTION: Final = re.compile(r"\b(SET|REMOVE|ADD)\s+")
_ASSIGNMENT: Final = re.compile(r"(#\w+) = (:\w+)")
_ADDITION: Final = re.compile(r"(#\w+) (:\w+)")
_COMPARISON: Final = re.compile(r"(#\w+) (=|<|<=) (:\w+)")
_ABSENCE: Final = re.compile(r"attribute_not_exists\((#\w+)\)")


class UnknownExpressionError(Exception):
    """The fake table does not know what the code asks of it; teach it."""


def holds(expression: str, item: Item, names: Names, values: Values) -> bool:
    """Whether a condition holds of an item, {} for one that is not there."""
    return _condition(expression)(item, names, values)


@cache
def _condition(expression: str) -> Callable[[Item, Names, Values], bool]:
    parts = _split(expression, " AND ")
    if len(parts) > 1:
        conditions = [_condition(part) for part in parts]
        return lambda item, names, values: all(each(item, names, values) for each in conditions)
    parts = _split(_unwrapped(expression), " OR ")
    if len(parts) > 1:
        choices = [_condition(part) for part in parts]
        return lambda item, names, values: any(each(item, names, values) for each in choices)
    if match := _ABSENCE.fullmatch(expression):
        absent = match[1]
        return lambda item, names, values: names[absent] not in item  # noqa: ARG005
    if match := _COMPARISON.fullmatch(expression):
        name, operator, bound = match.groups()
        return lambda item, names, values: _compare(item.get(names[name]), operator, values[bound])
    raise UnknownExpressionError(f"condition {expression!r}")


def _split(expression: str, separator: str) -> list[str]:
    """At separators outside brackets."""
    parts, depth, start = [], 0, 0
    for place, character in enumerate(expression):
        depth += (character == "(") - (character == ")")
        if depth == 0 and expression.startswith(separator, place):
            parts.append(expression[start:place])
            start = place + len(separator)
    return [*parts, expression[start:]]


def _unwrapped(expression: str) -> str:
    return expression[1:-1] if expression.startswith("(") and expression.endswith(")") else expression


def _compare(found: Any, operator: str, wanted: Any) -> bool:
    if found is None:
        return False
    if "N" in found and "N" in wanted:
        left, right = Decimal(found["N"]), Decimal(wanted["N"])
        if operator == "=":
            return left == right
        return left < right or (operator == "<=" and left == right)
    if operator != "=":
        raise UnknownExpressionError(f"{operator} of {found} and {wanted}")
    return bool(found == wanted)


def updated(expression: str, item: Item, names: Names, values: Values) -> Item:
    """The item after an update."""
    after = dict(item)
    for section, arguments in _sections(expression):
        for match in arguments:
            name = names[match[0]]
            if section == "SET":
                after[name] = values[match[1]]
            elif section == "REMOVE":
                after.pop(name, None)
            else:
                after[name] = {"N": str(Decimal(after.get(name, {"N": "0"})["N"]) + Decimal(values[match[1]]["N"]))}
    return after


@cache
def _sections(expression: str) -> list[tuple[str, list[tuple[str, ...]]]]:
    first, *rest = _SECTION.split(expression)
    if first or not rest:
        raise UnknownExpressionError(f"update {expression!r}")
    forms = {"SET": _ASSIGNMENT, "REMOVE": re.compile(r"(#\w+)"), "ADD": _ADDITION}
    sections = []
    for section, text in zip(rest[::2], rest[1::2], strict=True):
        arguments = []
        for part in text.strip().split(", "):
            match = forms[section].fullmatch(part)
            if match is None:
                raise UnknownExpressionError(f"{section} {part!r}")
            arguments.append(match.groups())
        sections.append((section, arguments))
    return sections
