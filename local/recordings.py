"""Which files a user means by AUDIO=…, and the object key of each."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from whisperstack_contract.keys import INCOMING_PREFIX


class NoRecordingsError(Exception):
    """Nothing to upload; the message names what was looked for."""


@dataclass(frozen=True)
class Recording:
    path: Path
    key: str


def split_paths(text: str) -> list[str]:
    """Paths in one line of text: a single path, spaces and all, or several, quoted as in a shell."""
    if os.path.lexists(text):
        return [text]
    try:
        return shlex.split(text)
    except ValueError as error:
        raise NoRecordingsError(f"AUDIO={text} cannot be read ({error}); quote paths as in a shell") from error


def find_recordings(paths: Sequence[str]) -> list[Recording]:
    """A recording for each file, and for each file anywhere in a folder except hidden ones; keys are unique.

    Raises NoRecordingsError for a path that does not exist or cannot be read, and for a folder with no file in it.
    """
    found: list[Recording] = []
    for text in paths:
        path = Path(text).expanduser()
        if path.is_dir():
            files = [file for file in sorted(path.rglob("*")) if file.is_file() and not _is_hidden(file.relative_to(path))]
            if not files:
                raise NoRecordingsError(f"the folder {path} holds no files; name one with recordings in it")
            found += [Recording(file, f"{path.resolve().name}/{file.relative_to(path).as_posix()}") for file in files]
        elif path.is_file():
            found.append(Recording(path, path.name))
        else:
            raise NoRecordingsError(f"{path} is neither a file nor a folder; give the path of a recording")
    for recording in found:
        if not os.access(recording.path, os.R_OK):
            raise NoRecordingsError(f"{recording.path} cannot be read; change its permissions or leave it out")
    return _with_unique_keys(found)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _with_unique_keys(recordings: Sequence[Recording]) -> list[Recording]:
    """Put a number before a name that came up already, so that no upload overwrites another."""
    taken: set[str] = set()
    unique = []
    for recording in recordings:
        name, number = recording.key, 1
        while name in taken:
            number += 1
            name = f"{number}/{recording.key}"
        taken.add(name)
        unique.append(Recording(recording.path, INCOMING_PREFIX + name))
    return unique
