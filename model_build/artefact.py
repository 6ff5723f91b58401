"""Builds one artefact: model.tar.gz and release.json, in a folder of their own."""

import errno
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Final

from model_build.archive import code_members, read_manifest, write_archive
from model_build.benchmark import read_benchmark
from model_build.catalogue import require_size
from model_build.digests import sha256_of_bytes, sha256_of_file
from model_build.errors import BuildError
from model_build.layouts import FFMPEG_PACKAGE, Layout, layout_of
from model_build.packages import ContainerPackages
from model_build.progress import Progress
from model_build.release import archive_path, find_release
from model_build.sources import Source
from whisperstack_contract.artefact import (
    ARCHIVE_MANIFEST_FILENAME,
    MODEL_CARD_FILENAME,
    MODEL_CARD_PAGE,
    RELEASE_MANIFEST_FILENAME,
    ArchiveManifest,
    ReleaseManifest,
)
from whisperstack_contract.keys import ARCHIVE_FILENAME

# A write that fails by one of them names no file.
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class BuiltArtefact:
    """rebuilt: False where the folder already held the same artefact."""

    release: ReleaseManifest
    folder: Path
    rebuilt: bool


def build_artefact(
    engine: str,
    model: str,
    source: Source,
    packages: ContainerPackages,
    folder: Path,
    project_root: Path,
    progress: Progress,
    benchmark: Path | None = None,
) -> BuiltArtefact:
    """Leaves `folder` with a whole artefact or as it was. Raises BuildError where the artefact cannot be built.

    benchmark: results of a benchmark for the model card.
    """
    progress.stage("Checking for changes")
    layout = layout_of(engine)
    code = code_members(project_root) if layout.has_handler else {}
    manifest = ArchiveManifest(
        engine=engine,
        model=model,
        weights=layout.weights,
        source=source.describe(),
        vendored=packages.describe(),
        files={name: sha256_of_bytes(content) for name, content in code.items()},
        built_with=_versions(layout),
        measured={} if benchmark is None else read_benchmark(benchmark),
    )
    if (release := _current_release(folder, manifest)) is not None:
        return BuiltArtefact(release, folder, rebuilt=False)

    with _filled(folder), tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as staging_name:
        staging = Path(staging_name)
        made = packages.unpack(staging / "packages", progress)
        made |= _write_weights(source, manifest, layout, staging / "weights", progress)
        manifest = replace(manifest, files=manifest.files | {name: sha256_of_file(path) for name, path in made.items()})
        staged = staging / ARCHIVE_FILENAME
        members: dict[str, bytes | Path] = {
            **code,
            **made,
            ARCHIVE_MANIFEST_FILENAME: manifest.to_json().encode(),
        }
        # Weights do not compress, and a container that starts would have to undo it.
        written = write_archive(staged, members, {layout.weights}, progress)
        release = ReleaseManifest(
            engine, model, written.digest, written.size_bytes, has_ffmpeg=FFMPEG_PACKAGE in manifest.vendored.versions
        )
        (staging / RELEASE_MANIFEST_FILENAME).write_text(release.to_json())
        # Between these two the old release describes the new archive. Whoever reads it then sees that the digests differ.
        staged.replace(archive_path(folder))
        (staging / RELEASE_MANIFEST_FILENAME).replace(folder / RELEASE_MANIFEST_FILENAME)
    return BuiltArtefact(release, folder, rebuilt=True)


@contextmanager
def _filled(folder: Path) -> Iterator[None]:
    """Makes the folder. Where nothing comes of it, what was made for it goes again; what cannot be written is a BuildError."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM and not str(error.filename).startswith(str(folder)):
            raise
        raise BuildError(
            f"the artefact cannot be written to {folder} ({error.strerror}); make room there, or give --output-root "
            "a folder that can be written"
        ) from error
    finally:
        for path in new:
            with suppress(OSError):  # it holds something: what was built, or what another build has put there
                path.rmdir()


def _write_weights(
    source: Source, manifest: ArchiveManifest, layout: Layout, folder: Path, progress: Progress
) -> dict[str, Path]:
    """Path in the archive → file, for the weights, all that belongs to them, and the model card."""
    from model_build.model_card import model_card, to_json, to_markdown

    checkpoint = source.load(progress)
    require_size(manifest.model, checkpoint.dims)
    folder.mkdir()
    progress.stage("Writing the weights")
    layout.write(checkpoint, manifest.model, folder)
    card = model_card(checkpoint, manifest, sha256_of_file(folder / layout.weights))
    (folder / MODEL_CARD_FILENAME).write_bytes(to_json(card))
    (folder / MODEL_CARD_PAGE).write_bytes(to_markdown(card))
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


def _current_release(folder: Path, wanted: ArchiveManifest) -> ReleaseManifest | None:
    """The release in `folder` where its archive is whole and was made from what `wanted` describes."""
    release = find_release(folder)
    archive = archive_path(folder)
    if release is None or release.example or not archive.is_file() or archive.stat().st_size != release.archive_bytes:
        return None
    built = read_manifest(archive)
    if built is None or replace(built, files=_code_files(built)) != wanted:
        return None
    return release if sha256_of_file(archive) == release.digest else None


def _code_files(manifest: ArchiveManifest) -> dict[str, str]:
    # The source's digest stands for the weights, the lock's for the packages: their own are known only once they are made.
    made = f"{manifest.vendored.folder}/"
    return {name: sha256 for name, sha256 in manifest.files.items() if name.startswith("code/") and not name.startswith(made)}


def _versions(layout: Layout) -> dict[str, str]:
    # The compressed part of the archive is as this zlib wrote it.
    try:
        return {name: metadata.version(name) for name in layout.built_with} | {"zlib": zlib.ZLIB_RUNTIME_VERSION}
    except metadata.PackageNotFoundError as error:
        raise BuildError(f"the package {error.name} is not installed; install requirements-model.txt") from error
