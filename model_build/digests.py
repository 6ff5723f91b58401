"""SHA-256 of files and texts, as hex."""

import hashlib
from pathlib import Path


def sha256_of_file(path: Path) -> str:
    """Reads in blocks, so that memory stays flat for weights of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_bytes(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
