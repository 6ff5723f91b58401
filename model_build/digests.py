"""SHA-256 of files and texts, as hex."""

import hashlib
from pathlib import Path


def sha256_of_file(path: Path) -> str:
    """Reads in blocks, so that memory stays flat for weights of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_bytes(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest_of_list(digests: dict[str, str]) -> str:
    """One digest for several files: of one line for each, name and SHA-256, sorted."""
    return hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in sorted(digests.items())).encode()).hexdigest()
