"""Unpacks a wheel or a pure-Python source distribution the way an archive carries it: what is imported, and its licences.

The same file gives the same tree everywhere: nothing is compiled, and nothing tells where or when it was unpacked.
"""

import tarfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO, Final

from model_build.errors import BuildError
from model_build.lock import LockedPackage

# numba alone brings 300 files of tests. Nothing imports them, and half of what they need is not here.
_LEFT_OUT: Final = frozenset({"tests", "__pycache__"})

# Beside the licences: what tells name and version. RECORD would list files that are left out, and scripts are not installed.
_METADATA: Final = "METADATA"
_LICENCES: Final = ("LICEN", "COPYING", "NOTICE", "AUTHORS")

_BLOCK_BYTES: Final = 1 << 20


def unpack(package: LockedPackage, path: Path, folder: Path) -> None:
    """Raises BuildError where `path` is damaged, or would write outside `folder` or over another package's file."""
    try:
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                for entry in wheel.infolist():
                    if not entry.is_dir() and (place := _place_in_wheel(PurePosixPath(entry.filename))):
                        with wheel.open(entry) as content:
                            _write(content, place, folder, path)
        else:
            _unpack_sources(package, path, folder)
    except (zipfile.BadZipFile, tarfile.TarError, KeyError, EOFError) as error:
        raise BuildError(f"{path} cannot be unpacked ({error}); delete it and build again") from error


def _place_in_wheel(name: PurePosixPath) -> PurePosixPath | None:
    """Where a wheel's file goes, or None where it stays out. Source: the binary distribution format, PEP 427."""
    top = name.parts[0]
    if top.endswith(".data"):
        # Scripts, headers and manual pages belong to an installation, and there is none.
        return _kept(PurePosixPath(*name.parts[2:])) if name.parts[1] in ("purelib", "platlib") else None
    if top.endswith(".dist-info"):
        licence = name.parts[1] == "licenses" or name.name.upper().startswith(_LICENCES)
        return name if licence or name.name == _METADATA else None
    return _kept(name)


def _unpack_sources(package: LockedPackage, path: Path, folder: Path) -> None:
    """The packages that a build would copy, without running the build: setuptools lists them in top_level.txt."""
    metadata = f"{package.name.replace('-', '_')}-{package.version}.dist-info"
    with tarfile.open(path, mode="r:gz") as sources:
        root = sources.getnames()[0].split("/")[0]
        files = {PurePosixPath(entry.name).relative_to(root): entry for entry in sources if entry.isreg()}
        modules = _top_level(sources, root, package)
        for name, entry in files.items():
            if name.parts[0] in modules:
                place = _kept(name)
            elif name == PurePosixPath("PKG-INFO"):
                place = PurePosixPath(metadata, _METADATA)
            else:
                licence = len(name.parts) == 1 and name.name.upper().startswith(_LICENCES)
                place = PurePosixPath(metadata, "licenses", name.name) if licence else None
            content = sources.extractfile(entry)
            if place and content:
                with content:
                    _write(content, place, folder, path)


def _top_level(sources: tarfile.TarFile, root: str, package: LockedPackage) -> frozenset[str]:
    listed = sources.extractfile(f"{root}/{package.name.replace('-', '_')}.egg-info/top_level.txt")
    return frozenset(listed.read().decode().split()) if listed else frozenset()


def _kept(name: PurePosixPath) -> PurePosixPath | None:
    return None if _LEFT_OUT.intersection(name.parts) or name.suffix == ".pyc" else name


def _write(content: IO[bytes], place: PurePosixPath, folder: Path, source: Path) -> None:
    if place.is_absolute() or ".." in place.parts:
        raise BuildError(f"{source.name} holds {place}, which leads out of its folder; delete {source}")
    target = folder / place
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("xb") as file:
            while block := content.read(_BLOCK_BYTES):
                file.write(block)
    except FileExistsError as error:
        raise BuildError(
            f"{source.name} holds {place}, which another package holds too; only one of them can be used"
        ) from error
