"""Cron expressions of six fields, as EventBridge rules and scheduled actions of Application Auto Scaling take them."""

import re
from typing import Final

_MONTHS: Final = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS: Final = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]

# (name, least, most, names that count from the least). Source: EventBridge user guide, "Cron expressions".
_FIELDS: Final = (
    ("minutes", 0, 59, ()),
    ("hours", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 1, 7, _DAYS),
    ("year", 1970, 2199, ()),
)
_DAY_OF_MONTH: Final = re.compile(r"L|LW|(?:[1-9]|[12]\d|3[01])W")
_DAY_OF_WEEK: Final = re.compile(rf"L|(?:[1-7]|{'|'.join(_DAYS)})(?:L|#[1-5])")


def problem_of_cron(expression: str) -> str | None:
    """What is wrong with 'cron(…)', as a clause; None where nothing is."""
    match = re.fullmatch(r"cron\((\S+(?: \S+){5})\)", expression)
    if match is None:
        return "it must be cron(…) with six fields"
    fields = match[1].split(" ")
    for (name, least, most, names), field in zip(_FIELDS, fields, strict=True):
        special = {"day of the month": _DAY_OF_MONTH, "day of the week": _DAY_OF_WEEK}.get(name)
        if special and (field == "?" or special.fullmatch(field)):
            continue
        if not all(_is_part(part, least, most, list(names)) for part in field.split(",")):
            return f"its {name}, {field!r}, must be {least} to {most}{f' or {names[0]} to {names[-1]}' if names else ''}"
    if (fields[2] == "?") == (fields[4] == "?"):
        return "either its day of the month or its day of the week must be ?, and not both"
    return None


def _is_part(part: str, least: int, most: int, names: list[str]) -> bool:
    """Whether it is one of a list's: *, a value or a range, with or without a step."""
    span, slash, step = part.partition("/")
    if slash and not (step.isdecimal() and 1 <= int(step) <= most):
        return False
    if span == "*":
        return True
    values = [least + names.index(each) if each in names else int(each) if each.isdecimal() else -1 for each in span.split("-")]
    return len(values) <= 2 and all(least <= each <= most for each in values)
