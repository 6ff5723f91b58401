"""Whether an archive is exactly what its manifest says, and what a serving container needs. First what is safe to check."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from model_build.errors import BuildError
from model_build.inspection import check_release, parse_card, parse_manifest
from model_build.layouts import LAYOUTS, Layout
from model_build.progress import Progress
from model_build.reading import ReadArchive, printable, read_archive
from whisperstack_contract.artefact import ARCHIVE_MANIFEST_FILENAME, MODEL_CARD_FILENAME, ArchiveManifest

# Without the handler a Hugging Face container silently serves its own default pipeline.
_NEEDED: Final = ("code/inference.py", "code/whisper_serving/__init__.py", "code/whisperstack_contract/__init__.py")
# A container would install what it names at every start, which takes minutes, and fails without a network.
_UNWANTED: Final = "code/requirements.txt"


@dataclass(frozen=True)
class VerifiedArchive:
    """folder: the unpacked archive. has_handler: whether it brings the code that serves it."""

    archive: ReadArchive
    manifest: ArchiveManifest
    folder: Path
    has_handler: bool


@contextmanager
def verified_archive(path: Path, progress: Progress) -> Iterator[VerifiedArchive]:
    """The archive, unpacked for as long as the context lasts. Raises BuildError for the first thing that is wrong."""
    with tempfile.TemporaryDirectory(prefix="whisperstack-verify-") as name:
        folder = Path(name) / "model"
        folder.mkdir()
        archive = read_archive(path, progress, folder)
        manifest = parse_manifest(archive)
        _check_files(archive, manifest)
        layout = _layout_of(archive, manifest)
        _check_code(archive, manifest, layout)
        check_release(archive, manifest)
        progress.stage("Loading the weights")
        what = f"the weights {printable(manifest.weights)} in {path}"
        # torch takes two seconds to import, which a refused archive need not wait for.
        dims = layout.check(folder, what)
        _check_card(archive, manifest, dims)
        yield VerifiedArchive(archive, manifest, folder, layout.has_handler)


def _layout_of(archive: ReadArchive, manifest: ArchiveManifest) -> Layout:
    layout = LAYOUTS.get(manifest.engine)
    if layout is None:
        raise BuildError(
            f"{archive.path} is for the engine {printable(manifest.engine)}; this version knows {', '.join(LAYOUTS)}"
        )
    if manifest.weights != layout.weights:
        raise BuildError(
            f"{archive.path} names the weights {printable(manifest.weights)}; the engine {manifest.engine} loads "
            f"{layout.weights}; build the artefact again"
        )
    return layout


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


def _check_code(archive: ReadArchive, manifest: ArchiveManifest, layout: Layout) -> None:
    if absent := [name for name in layout.needed if name not in manifest.files]:
        raise BuildError(
            f"{archive.path} has no {absent[0]}{_and_more(absent)}, without which {manifest.engine} cannot load its weights; "
            "build the artefact again"
        )
    if layout.has_handler and (absent := [name for name in _NEEDED if name not in manifest.files]):
        raise BuildError(
            f"{archive.path} has no {absent[0]}{_and_more(absent)}, which a serving container needs; "
            "build it from a whole checkout of the project"
        )
    if _UNWANTED in manifest.files:
        raise BuildError(
            f"{archive.path} holds {_UNWANTED}, which a container would install at every start; build the artefact again"
        )


def _check_card(archive: ReadArchive, manifest: ArchiveManifest, dims: dict[str, int]) -> None:
    card = parse_card(archive)
    told = {"engine": manifest.engine, "model": manifest.model, "dims": dims, "source": asdict(manifest.source)}
    for name, value in told.items():
        if card.get(name) != value:
            raise BuildError(
                f"the {MODEL_CARD_FILENAME} in {archive.path} says {name} {printable(repr(card.get(name))[:80])}; "
                f"manifest and weights say {printable(repr(value)[:80])}; build the artefact again"
            )


def _and_more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
