"""Whether an archive is exactly what its manifest says, and what a serving container needs. First what is safe to check."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model_build.errors import BuildError
from model_build.inspection import check_release, parse_manifest
from model_build.progress import Progress
from model_build.reading import ReadArchive, printable, read_archive
from whisperstack_contract.artefact import ARCHIVE_MANIFEST_FILENAME, ArchiveManifest

_PYTORCH: Final = "pytorch"

# Without the handler a Hugging Face container silently serves its own default pipeline.
_NEEDED: Final = ("code/inference.py", "code/whisper_serving/__init__.py", "code/whisperstack_contract/__init__.py")
# A container would install what it names at every start, which takes minutes, and fails without a network.
_UNWANTED: Final = "code/requirements.txt"


@dataclass(frozen=True)
class VerifiedArchive:
    """folder: the unpacked archive."""

    archive: ReadArchive
    manifest: ArchiveManifest
    folder: Path


@contextmanager
def verified_archive(path: Path, progress: Progress) -> Iterator[VerifiedArchive]:
    """The archive, unpacked for as long as the context lasts. Raises BuildError for the first thing that is wrong."""
    with tempfile.TemporaryDirectory(prefix="whisperstack-verify-") as name:
        folder = Path(name) / "model"
        folder.mkdir()
        archive = read_archive(path, progress, folder)
        manifest = parse_manifest(archive)
        _check_files(archive, manifest)
        _check_code(archive, manifest)
        check_release(archive, manifest)
        if manifest.engine != _PYTORCH:
            raise BuildError(
                f"{path} is for the engine {printable(manifest.engine)}; this version knows the weights of {_PYTORCH} only"
            )
        progress.stage("Loading the weights")
        # torch takes two seconds to import, which a refused archive need not wait for.
        from model_build.weights_check import check_weights

        check_weights(folder / manifest.weights, f"the weights {printable(manifest.weights)} in {path}")
        yield VerifiedArchive(archive, manifest, folder)


def _check_files(archive: ReadArchive, manifest: ArchiveManifest) -> None:
    found = {entry.name: entry.sha256 for entry in archive.entries if entry.name != ARCHIVE_MANIFEST_FILENAME}
    if manifest.weights not in manifest.files:
        raise BuildError(
            f"the manifest of {archive.path} names the weights {printable(manifest.weights)} but no SHA-256 of them; "
            "build the artefact again"
        )
    if missing := sorted(set(manifest.files) - set(found)):
        raise BuildError(
            f"{archive.path} lacks {printable(missing[0])}{_and_more(missing)}, which its manifest lists; "
            "build the artefact again"
        )
    if unlisted := sorted(set(found) - set(manifest.files)):
        raise BuildError(
            f"{archive.path} holds {unlisted[0]}{_and_more(unlisted)}, which its manifest does not list; "
            "build the artefact again, and do not serve this one"
        )
    for name, digest in manifest.files.items():
        if found[name] != digest:
            raise BuildError(
                f"{name} in {archive.path} has the SHA-256 {found[name]}; its manifest says {printable(digest)}; "
                "build the artefact again"
            )


def _check_code(archive: ReadArchive, manifest: ArchiveManifest) -> None:
    if absent := [name for name in _NEEDED if name not in manifest.files]:
        raise BuildError(
            f"{archive.path} has no {absent[0]}{_and_more(absent)}, which a serving container needs; "
            "build it from a whole checkout of the project"
        )
    if _UNWANTED in manifest.files:
        raise BuildError(
            f"{archive.path} holds {_UNWANTED}, which a container would install at every start; build the artefact again"
        )


def _and_more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
