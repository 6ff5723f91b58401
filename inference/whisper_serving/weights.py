"""Checks a weights file against the archive's manifest before anything reads it.

Unpickling a hostile checkpoint can run code, in torch before 2.10 even with weights_only (CVE-2026-24747), and the serving
images have an older one. So only a file whose SHA-256 is the one that was built is opened at all.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from whisperstack_contract.artefact import ARCHIVE_MANIFEST_FILENAME, ArchiveManifest
from whisperstack_contract.errors import ModelUnavailableError


def read_manifest(model_folder: Path) -> ArchiveManifest:
    """Raises ModelUnavailableError where the manifest is missing or unreadable."""
    try:
        return ArchiveManifest.from_json((model_folder / ARCHIVE_MANIFEST_FILENAME).read_bytes())
    except FileNotFoundError as error:
        raise ModelUnavailableError(
            f"the model archive has no {ARCHIVE_MANIFEST_FILENAME}; build it with model_build and deploy again"
        ) from error
    except ValueError as error:
        raise ModelUnavailableError(f"the model archive's manifest cannot be read: {error}") from error


@contextmanager
def checked_weights(model_folder: Path, manifest: ArchiveManifest) -> Iterator[str]:
    """A path of the weights file, to map into memory while this is open, so that no copy of it is made and workers share it.

    Raises ModelUnavailableError unless the file's SHA-256 is the manifest's.
    """
    expected = manifest.files.get(manifest.weights)
    if expected is None:
        raise ModelUnavailableError(f"the model archive's manifest has no digest of {manifest.weights!r}; build it again")
    path = model_folder / manifest.weights
    if not path.is_file():
        raise ModelUnavailableError(f"the model archive has no {manifest.weights!r}; build it again")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != expected:
            raise ModelUnavailableError(
                f"{manifest.weights!r} has the SHA-256 {digest}; the manifest says {expected}; deploy the archive again"
            )
        # The file that was hashed is the file that is read, whatever happens to its name meanwhile.
        yield f"/dev/fd/{file.fileno()}"
