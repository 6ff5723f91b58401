"""model.tar.gz: the same files give the same bytes, on every machine with the same zlib.

Entries are sorted and carry no times, owners or machine's modes; the gzip header carries no time and no name. The manifest
comes before the rest, so that it can be read back without unpacking that. Of the weights not even zlib's version matters.
"""

import io
import tarfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

from model_build.errors import BuildError
from model_build.gzip_stream import GzipStream
from model_build.progress import Progress
from whisperstack_contract.artefact import ARCHIVE_MANIFEST_FILENAME, ArchiveManifest

_FILE_MODE: Final = 0o644
_BLOCK_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class WrittenArchive:
    """digest: SHA-256 of the file."""

    digest: str
    size_bytes: int


def write_archive(
    path: Path, members: Mapping[str, bytes | Path], stored: Collection[str], progress: Progress
) -> WrittenArchive:
    """members: path inside the archive → content, or a file whose content is streamed. stored: those not to compress."""
    progress.stage("Writing the archive", sum(_size_bytes(content) for content in members.values()))
    with (
        path.open("wb") as file,
        GzipStream(file) as stream,
        tarfile.TarFile(
            fileobj=cast("IO[bytes]", stream), mode="w", format=tarfile.PAX_FORMAT, copybufsize=_BLOCK_BYTES
        ) as archive,
    ):
        for name in sorted(members, key=lambda name: (name != ARCHIVE_MANIFEST_FILENAME, name)):
            entry = tarfile.TarInfo(name)  # owner, group and time are 0 unless set
            entry.mode = _FILE_MODE
            content = members[name]
            entry.size = _size_bytes(content)
            stream.stored = name in stored
            with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as reader:
                archive.addfile(entry, cast("IO[bytes]", _Observed(reader, progress)))
        stream.stored = False
    return WrittenArchive(stream.digest, stream.written_bytes)


def read_manifest(path: Path) -> ArchiveManifest | None:
    """The manifest of an existing archive, or None where the file is no archive with a manifest of this version."""
    try:
        with tarfile.open(path, mode="r|gz") as archive:
            for entry in archive:
                if entry.name == ARCHIVE_MANIFEST_FILENAME and (content := archive.extractfile(entry)):
                    return ArchiveManifest.from_json(content.read())
    except (OSError, EOFError, tarfile.TarError, ValueError):
        return None
    return None


def code_members(project_root: Path) -> dict[str, bytes]:
    """The serving code as it lies in an archive: path → source. Raises BuildError where the handler is missing."""
    inference, contract = project_root / "inference", project_root / "contract"
    # Without a handler the container would silently serve its own default pipeline.
    if not (inference / "inference.py").is_file():
        raise BuildError(f"{inference} has no inference.py; run this from a whole checkout of the project")
    sources = {inference / "inference.py": inference}
    sources |= dict.fromkeys((inference / "whisper_serving").rglob("*.py"), inference)
    # The speech detector's weights, and the licence that they come with.
    sources |= dict.fromkeys((inference / "whisper_serving").glob("silero_vad.*"), inference)
    sources |= dict.fromkeys((contract / "whisperstack_contract").rglob("*.py"), contract)
    return {f"code/{path.relative_to(root).as_posix()}": path.read_bytes() for path, root in sources.items()}


def _size_bytes(content: bytes | Path) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


class _Observed:
    """A reader that tells how much went through it."""

    def __init__(self, reader: BinaryIO, progress: Progress) -> None:
        self._reader = reader
        self._progress = progress

    def read(self, size: int = -1) -> bytes:
        content = self._reader.read(size)
        self._progress.advance(len(content))
        return content
