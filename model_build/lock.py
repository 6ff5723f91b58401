"""Reads a requirements file that uv has locked with hashes."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model_build.errors import BuildError

_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)((?: +--hash=sha256:[0-9a-f]{64})+)")
_COMMENT: Final = re.compile(r"#.*$", re.MULTILINE)


@dataclass(frozen=True)
class LockedPackage:
    """sha256: of each file that an index may serve for this version."""

    name: str
    version: str
    sha256: frozenset[str]


def read_lock(path: Path) -> tuple[LockedPackage, ...]:
    """Raises BuildError where a line is anything but `name==version` with hashes: what pip fetched for it could not be told."""
    try:
        text = path.read_text()
    except OSError as error:
        raise BuildError(f"{path} cannot be read ({error.strerror}); run this from a whole checkout of the project") from error
    lines = _COMMENT.sub("", text).replace("\\\n", " ").splitlines()
    return tuple(_locked(path, line.strip()) for line in lines if line.strip())


def _locked(path: Path, line: str) -> LockedPackage:
    match = _REQUIREMENT.fullmatch(line)
    if match is None:
        raise BuildError(f"{path.name} has the line {line[:60]!r}; every line must be name==version with --hash; run make lock")
    return LockedPackage(match[1], match[2], frozenset(re.findall(r"[0-9a-f]{64}", match[3])))
