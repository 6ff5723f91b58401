"""Reads a model.tar.gz that may be anything: what it holds, its digests, and its files into a folder, in one pass.

Nothing in it decides where something is written: only regular files with plain relative names are, below the folder given.
The whole file is read, so that nothing can hide behind the end of the archive, where tar readers stop looking.
"""

import hashlib
import io
import shutil
import tarfile
import zlib
from dataclasses import dataclass
from gzip import BadGzipFile, GzipFile
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Final, cast

from model_build.errors import BuildError
from model_build.progress import Progress
from whisperstack_contract.artefact import ARCHIVE_MANIFEST_FILENAME, MODEL_CARD_FILENAME

FILE: Final = "file"

_KINDS: Final = {
    tarfile.REGTYPE: FILE,
    tarfile.AREGTYPE: FILE,
    tarfile.LNKTYPE: "hard link",
    tarfile.SYMTYPE: "symbolic link",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
    tarfile.FIFOTYPE: "named pipe",
    tarfile.DIRTYPE: "folder",
}

_BLOCK_BYTES: Final = 1024**2
# A line for each file: the packages that Whisper needs are some thousand files.
_LARGEST_DOCUMENT_BYTES: Final = 16 * 1024**2
# What is kept of an archive's content, to be read.
_DOCUMENTS: Final = (ARCHIVE_MANIFEST_FILENAME, MODEL_CARD_FILENAME)


@dataclass(frozen=True)
class Entry:
    """kind: FILE, or what else it is. sha256: of a file's content, else ''."""

    name: str
    kind: str
    size_bytes: int
    sha256: str = ""


@dataclass(frozen=True)
class ReadArchive:
    """digest, size_bytes: of the archive itself. manifest, card: their content, or None where the archive has none."""

    path: Path
    digest: str
    size_bytes: int
    entries: tuple[Entry, ...]
    manifest: bytes | None
    card: bytes | None


def read_archive(path: Path, progress: Progress, into: Path | None = None) -> ReadArchive:
    """Raises BuildError where it cannot be read to its end, or where an entry cannot be written safely below `into`."""
    try:
        with path.open("rb") as file:
            size_bytes = path.stat().st_size
            progress.stage("Reading the archive", size_bytes)
            hashed = _Hashed(file, progress)
            entries, documents = _read_entries(path, cast("BinaryIO", hashed), into)
            manifest, card = (documents.get(name) for name in _DOCUMENTS)
            return ReadArchive(path, hashed.digest(), size_bytes, tuple(entries), manifest, card)
    except EOFError as error:
        raise BuildError(f"{path} ends before its last byte: it is cut off; copy or build it again") from error
    except (tarfile.TarError, zlib.error, ValueError, OverflowError, RecursionError) as error:
        raise BuildError(f"{path} is no whole tar.gz archive ({printable(str(error))}); copy or build it again") from error
    except BadGzipFile as error:
        raise BuildError(
            f"{path} is no gzip file, has something behind its end, or was damaged on the way; copy or build it again"
        ) from error
    except OSError as error:
        raise BuildError(
            f"{path} cannot be read ({error.strerror or printable(str(error))}); copy or build it again"
        ) from error


def check_entry(path: Path, entry: Entry) -> None:
    """Raises BuildError where unpacking this entry could write elsewhere than below the folder it is unpacked into."""
    name, shown = PurePosixPath(entry.name), printable(entry.name)
    remedy = "do not unpack it: build the artefact again"
    if entry.name.startswith("/"):
        raise BuildError(f"{path} holds {shown}, an absolute path; {remedy}")
    if ".." in name.parts:
        raise BuildError(f"{path} holds {shown}, which leads out of its folder; {remedy}")
    if entry.kind != FILE:
        raise BuildError(f"{path} holds {shown}, a {entry.kind}; an artefact has regular files only; {remedy}")
    if str(name) != entry.name or not name.parts or not entry.name.isprintable() or "\\" in entry.name:
        raise BuildError(f"{path} holds {shown}, which is no plain relative path; {remedy}")


def printable(text: str) -> str:
    """`text` in one line that no terminal takes for a command."""
    return text if text.isprintable() else ascii(text)


def _read_entries(path: Path, file: BinaryIO, into: Path | None) -> tuple[list[Entry], dict[str, bytes]]:
    entries: list[Entry] = []
    documents: dict[str, bytes] = {}
    # GzipFile checks the checksum at the end of the stream, which tarfile's own decompression does not.
    with GzipFile(fileobj=file, mode="rb") as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for info in archive:
            kind = "sparse file" if info.issparse() else _KINDS.get(info.type, "special entry")
            entry = Entry(info.name, kind, info.size)
            if into is not None:
                check_entry(path, entry)
            content = archive.extractfile(info) if kind == FILE else None
            if content is None:
                entries.append(entry)
                continue
            if info.name in _DOCUMENTS:
                documents[info.name] = _read_document(path, info, content)
                content = io.BytesIO(documents[info.name])
            digest = _copy(content, None if into is None else _target(path, into, entry))
            entries.append(Entry(info.name, kind, info.size, digest))
        _require_padding(path, cast("IO[bytes]", archive.fileobj))
    return entries, documents


def _read_document(path: Path, info: tarfile.TarInfo, content: IO[bytes]) -> bytes:
    if info.size > _LARGEST_DOCUMENT_BYTES:
        raise BuildError(
            f"the {info.name} in {path} has {info.size} bytes; the limit is {_LARGEST_DOCUMENT_BYTES}; build the artefact again"
        )
    return content.read()


def _target(path: Path, into: Path, entry: Entry) -> Path:
    """Where to write the entry, whose name has been checked."""
    free_bytes = shutil.disk_usage(into).free
    if entry.size_bytes > free_bytes:
        raise BuildError(
            f"{entry.name} in {path} takes {entry.size_bytes} bytes, and {into.parent} has {free_bytes} left; "
            "set TMPDIR to a folder with more room"
        )
    target = into / entry.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(exist_ok=False)
    except OSError as error:
        raise BuildError(
            f"{path} holds {entry.name} twice, or a file where it needs a folder ({error.strerror}); build the artefact again"
        ) from error
    return target


def _copy(content: IO[bytes], target: Path | None) -> str:
    """Returns the SHA-256 of what went through."""
    digest = hashlib.sha256()
    if target is None:
        while block := content.read(_BLOCK_BYTES):
            digest.update(block)
    else:
        with target.open("wb") as file:
            while block := content.read(_BLOCK_BYTES):
                digest.update(block)
                _write(file, target, block)
    return digest.hexdigest()


def _write(file: BinaryIO, target: Path, block: bytes) -> None:
    # Else it would look as if the archive could not be read.
    try:
        file.write(block)
        file.flush()
    except OSError as error:
        raise BuildError(f"{target} cannot be written ({error.strerror}); set TMPDIR to a folder with more room") from error


def _require_padding(path: Path, rest: IO[bytes]) -> None:
    """Reads what follows the end of the archive, which must be the zeros that tar fills its last record with."""
    while block := rest.read(_BLOCK_BYTES):
        if block.strip(b"\0"):
            raise BuildError(f"{path} holds data behind the end of its archive; build the artefact again")


class _Hashed:
    """A reader that takes the digest of what goes through it, and tells how much that was."""

    def __init__(self, reader: BinaryIO, progress: Progress) -> None:
        self._reader = reader
        self._progress = progress
        self._sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._reader.read(size)
        self._sha256.update(block)
        self._progress.advance(len(block))
        return block

    def digest(self) -> str:
        return self._sha256.hexdigest()
