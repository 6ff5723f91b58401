"""Downloads one file whose SHA-256 is known; goes on where an earlier attempt stopped. Only a whole file gets the name."""

import os
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from model_build.digests import sha256_of_file
from model_build.errors import BuildError
from model_build.progress import Progress

_BLOCK_BYTES: Final = 1 << 20
_TIMEOUT_SECONDS: Final = 60  # without a byte
# A connection that breaks off is taken up again as long as it brings something each time, but not for ever.
_MOST_ATTEMPTS: Final = 20

_PARTIAL_CONTENT: Final = 206
_RANGE_NOT_SATISFIABLE: Final = 416


def download(address: str, sha256: str, target: Path, progress: Progress) -> None:
    """Leaves `target` whole, or leaves what has arrived beside it as `<name>.part` for the next call. Raises BuildError."""
    if target.is_file():
        progress.stage(f"Checking {target.name}")
        if sha256_of_file(target) == sha256:
            return
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch(address, part, progress)
        progress.stage(f"Checking {target.name}")
        got = sha256_of_file(part)
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise BuildError(
            f"the download of {target.name} failed ({reason}); check the network and try again: it goes on where it stopped"
        ) from error
    if got != sha256:
        part.unlink()
        raise BuildError(
            f"{target.name} arrived from {address} with the SHA-256 {got}; it must have {sha256}; nothing of it was kept: "
            "try again, and if it stays so, something between here and there changes what is downloaded"
        )
    part.replace(target)


def _fetch(address: str, part: Path, progress: Progress) -> None:
    for attempt in range(1, _MOST_ATTEMPTS + 1):
        before = _size_bytes(part)
        try:
            with _open(address, part) as response:
                _append(response, part, progress)
            return
        except HTTPError as error:
            # Nothing follows the part: it is whole, or not what is wanted, which its digest tells.
            if error.code == _RANGE_NOT_SATISFIABLE and before:
                return
            raise
        except (OSError, HTTPException):
            if _size_bytes(part) <= before or attempt == _MOST_ATTEMPTS:
                raise


def _open(address: str, part: Path) -> HTTPResponse:
    """The rest of the file where there is a part of it; all of it, and no part, where the server gives no ranges."""
    size_bytes = _size_bytes(part)
    headers = {"Range": f"bytes={size_bytes}-"} if size_bytes else {}
    # The addresses are openai-whisper's own.
    response: HTTPResponse = urlopen(Request(address, headers=headers), timeout=_TIMEOUT_SECONDS)  # noqa: S310
    if response.status != _PARTIAL_CONTENT:
        part.unlink(missing_ok=True)
    return response


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _append(response: HTTPResponse, part: Path, progress: Progress) -> None:
    start = _size_bytes(part)
    length = response.headers.get("Content-Length")
    expected = start + int(length) if length else None
    progress.stage(f"Downloading {part.stem}", expected)
    progress.advance(start)
    with part.open("ab") as file:
        while block := response.read(_BLOCK_BYTES):
            file.write(block)
            progress.advance(len(block))
        file.flush()
        os.fsync(file.fileno())
    if expected is not None and (arrived := _size_bytes(part)) < expected:
        raise ConnectionResetError(f"the connection ended after {arrived} of {expected} bytes")
