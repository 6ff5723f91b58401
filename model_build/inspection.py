"""What an archive says of itself and what it really holds, side by side; nothing is unpacked and nothing is judged."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from model_build.errors import BuildError
from model_build.progress import Progress
from model_build.reading import FILE, ReadArchive, printable, read_archive
from model_build.release import archive_path
from whisperstack_contract.artefact import (
    ARCHIVE_MANIFEST_FILENAME,
    MODEL_CARD_FILENAME,
    RELEASE_MANIFEST_FILENAME,
    ArchiveManifest,
    ReleaseManifest,
)

AGREES: Final = "agrees"


@dataclass(frozen=True)
class Inspection:
    """release: AGREES, or in words why release.json does not describe this archive. card: as it stands in the archive."""

    archive: ReadArchive
    manifest: ArchiveManifest
    release: str
    card: dict[str, Any]

    def to_json(self) -> str:
        return json.dumps(
            {
                "archive": str(self.archive.path),
                "archive_bytes": self.archive.size_bytes,
                "sha256": self.archive.digest,
                "release_agrees": self.release == AGREES,
                "release": self.release,
                "manifest": asdict(self.manifest),
                "card": self.card,
                "files": [asdict(entry) for entry in self.archive.entries],
                "missing": self.missing,
            },
            indent=1,
        )

    def lines(self) -> Iterator[str]:
        source = self.manifest.source
        facts = {
            "archive": str(self.archive.path),
            "sha256": self.archive.digest,
            "size": f"{self.archive.size_bytes:,} bytes",
            "release.json": self.release,
            "engine": self.manifest.engine,
            "model": self.manifest.model,
            "source": f"{source.kind}, {source.name}",
            "source sha256": source.sha256,
            "revision": source.revision or "none",
            "author": source.author,
            "licence": source.licence,
            "dims": ", ".join(f"{name} {value}" for name, value in _items(self.card.get("dims"))),
            "parameters": f"{self.card.get('parameters')}, {self.card.get('float_type')}",
            "languages": " ".join(map(str, self.card.get("languages") or ())),
            "measured": ", ".join(f"{name} {value}" for name, value in self.manifest.measured.items()) or "nothing",
            "built with": ", ".join(f"{name} {version}" for name, version in sorted(self.manifest.built_with.items())),
            "weights": self.manifest.weights,
        }
        for name, value in facts.items():
            yield f"{name:<14} {printable(value)}"
        yield f"{len(self.archive.entries)} files:"
        for entry in self.archive.entries:
            yield f"{entry.size_bytes:>15,}  {printable(entry.name)}{self._remark(entry.name, entry.kind, entry.sha256)}"
        for name in self.missing:
            yield f"{'-':>15}  {printable(name)}  (in the manifest only)"

    @property
    def missing(self) -> list[str]:
        return sorted(set(self.manifest.files) - {entry.name for entry in self.archive.entries})

    def _remark(self, name: str, kind: str, digest: str) -> str:
        if kind != FILE:
            return f"  ({kind})"
        if name == ARCHIVE_MANIFEST_FILENAME:
            return ""
        if name not in self.manifest.files:
            return "  (not in the manifest)"
        return "" if self.manifest.files[name] == digest else "  (not the content that the manifest says)"


def find_archive(path: Path) -> Path:
    """The archive at `path`, which may be its folder. Raises BuildError where there is none."""
    found = archive_path(path) if path.is_dir() else path
    if not found.is_file():
        raise BuildError(f"there is no archive at {found}; give the path of a model.tar.gz, or of the folder that holds it")
    return found


def inspect_archive(path: Path, progress: Progress) -> Inspection:
    """Raises BuildError where the archive cannot be read, or has no manifest of this version."""
    archive = read_archive(path, progress)
    manifest, card = parse_manifest(archive), parse_card(archive)
    try:
        check_release(archive, manifest)
    except BuildError as error:
        return Inspection(archive, manifest, str(error), card)
    return Inspection(archive, manifest, AGREES, card)


def parse_manifest(archive: ReadArchive) -> ArchiveManifest:
    """Raises BuildError where there is no manifest, or where it is no manifest of this version."""
    where = f"the {ARCHIVE_MANIFEST_FILENAME} in {archive.path}"
    if archive.manifest is None:
        raise BuildError(f"{archive.path} has no {ARCHIVE_MANIFEST_FILENAME}; build the artefact with model_build")
    try:
        manifest = ArchiveManifest.from_json(archive.manifest)
    except (ValueError, RecursionError) as error:
        raise BuildError(f"{where} cannot be read: {printable(str(error))}") from error
    tables = (manifest.files, manifest.built_with, manifest.measured)
    wrong: list[Any] = [table for table in tables if not isinstance(table, dict)]
    texts = [manifest.engine, manifest.model, manifest.weights, *vars(manifest.source).values()]
    texts += [text for table in tables if isinstance(table, dict) for text in table.values()]
    wrong += [text for text in texts if not isinstance(text, str)]
    if wrong:
        raise BuildError(f"{where} has {printable(repr(wrong[0])[:80])} where it should not; build the artefact again")
    return manifest


def parse_card(archive: ReadArchive) -> dict[str, Any]:
    """Raises BuildError where there is no model card, or where it is no JSON object."""
    where = f"the {MODEL_CARD_FILENAME} in {archive.path}"
    if archive.card is None:
        raise BuildError(f"{archive.path} has no {MODEL_CARD_FILENAME}; build the artefact with model_build")
    try:
        card = json.loads(archive.card)
    except (ValueError, RecursionError) as error:
        raise BuildError(f"{where} cannot be read: {printable(str(error))}; build the artefact again") from error
    if not isinstance(card, dict):
        raise BuildError(f"{where} holds no JSON object; build the artefact again")
    return card


def _items(value: object) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def check_release(archive: ReadArchive, manifest: ArchiveManifest) -> None:
    """Raises BuildError unless the release.json beside the archive describes this archive."""
    path = archive.path.with_name(RELEASE_MANIFEST_FILENAME)
    try:
        release = ReleaseManifest.from_json(path.read_bytes())
    except OSError as error:
        raise BuildError(f"{path} cannot be read ({error.strerror}); copy it with the archive, or build again") from error
    except (ValueError, RecursionError) as error:
        reason = "it is no JSON" if isinstance(error.__cause__, ValueError) else printable(str(error))
        raise BuildError(f"{path} cannot be read: {reason}; copy it with the archive, or build again") from error
    if release.example:
        raise BuildError(f"{path} is the example that synth uses while nothing is built; build the artefact again")
    told = (release.digest, release.archive_bytes, release.engine, release.model)
    found = (archive.digest, archive.size_bytes, manifest.engine, manifest.model)
    for what, said, is_really in zip(("SHA-256", "size in bytes", "engine", "model"), told, found, strict=True):
        if said != is_really:
            raise BuildError(
                f"the {what} of {archive.path} is {printable(str(is_really))}; {path.name} beside it says "
                f"{printable(str(said))}; build the artefact again"
            )
