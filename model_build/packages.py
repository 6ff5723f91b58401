"""The packages that an archive carries for the container: downloaded once, checked against the lock, kept in a cache."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model_build import unpacking
from model_build.digests import sha256_of_bytes, sha256_of_file
from model_build.errors import BuildError
from model_build.lock import LockedPackage, read_lock
from model_build.progress import Progress
from whisperstack_contract.artefact import VendoredPackages

# The serving image's interpreter and platform, as whisper_serving.vendored names them.
_TAG: Final = "cp312-manylinux_x86_64"
_PYTHON: Final = "3.12"
_FOLDER: Final = f"code/vendor/{_TAG}"

# pip takes a platform as it is written. The oldest manylinux that has a number, to the glibc that uv locks for.
_PLATFORMS: Final = ("manylinux2014_x86_64", *(f"manylinux_2_{minor}_x86_64" for minor in range(5, 29)))

# On the index as sources only. It is pure Python, so nothing has to be compiled.
_SOURCE_ONLY: Final = "openai-whisper"

_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True)
class ContainerPackages:
    """lock: requirements with hashes. cache: folder of what was downloaded; other files in it are left alone."""

    lock: Path
    cache: Path

    @classmethod
    def of(cls, project_root: Path, lock: str) -> "ContainerPackages":
        """lock: the name of a requirements file in the project's root."""
        return cls(project_root / lock, project_root / "build" / "wheels" / _TAG)

    def describe(self) -> VendoredPackages:
        """What `unpack` would deliver, without downloading or opening anything."""
        locked = read_lock(self.lock)
        rules = Path(unpacking.__file__).read_bytes()
        return VendoredPackages(
            _FOLDER, {package.name: package.version for package in locked}, sha256_of_bytes(self.lock.read_bytes() + rules)
        )

    def fetch(self, progress: Progress) -> dict[LockedPackage, Path]:
        """The checked file of each package; downloads only where one is missing. Raises BuildError where it cannot be had."""
        locked = read_lock(self.lock)
        found = self._find(locked)
        if len(found) < len(locked):
            self._download(progress)
            found = self._find(locked)
        if missing := [package.name for package in locked if package not in found]:
            raise BuildError(f"pip delivered no file for {', '.join(missing)} that {self.lock.name} allows; run make lock")
        return found

    def unpack(self, folder: Path, progress: Progress) -> dict[str, Path]:
        """Unpacks into `folder`, which is new. Returns path inside the archive → file. Raises BuildError."""
        files = self.fetch(progress)
        progress.stage("Unpacking the container's packages")
        folder.mkdir(exist_ok=True)
        for package, path in files.items():
            unpacking.unpack(package, path, folder)
        return {f"{_FOLDER}/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*") if path.is_file()}

    def _find(self, locked: tuple[LockedPackage, ...]) -> dict[LockedPackage, Path]:
        digests = {sha256_of_file(path): path for path in self.cache.glob("*") if path.is_file()}
        return {package: digests[digest] for package in locked for digest in package.sha256 if digest in digests}

    def _download(self, progress: Progress) -> None:
        progress.stage("Downloading the container's packages")
        self.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".downloading-", dir=self.cache) as staging_name:
            staging = Path(staging_name)
            _run_pip(self.lock, staging, progress)
            for path in [path for path in staging.iterdir() if path.is_file()]:
                path.replace(self.cache / path.name)


def _run_pip(lock: Path, staging: Path, progress: Progress) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download", "--requirement", str(lock)]
    command += ["--require-hashes", "--no-deps", "--dest", str(staging)]
    command += ["--only-binary", ":all:", "--no-binary", _SOURCE_ONLY, "--no-build-isolation"]
    command += ["--implementation", "cp", "--python-version", _PYTHON]
    command += [part for platform in _PLATFORMS for part in ("--platform", platform)]
    temporary = staging / "tmp"
    temporary.mkdir()
    log = temporary / "pip.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, "TMPDIR": str(temporary)}
        )
        try:
            _watch(process, staging, progress)
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        raise BuildError(f"the container's packages could not be downloaded ({_reason(log)}); check the network and try again")


def _watch(process: "subprocess.Popen[bytes]", staging: Path, progress: Progress) -> None:
    """pip tells its progress to terminals only, so what it has written is counted."""
    seen_bytes = 0
    while True:
        try:
            process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            written_bytes = _written_bytes(staging)
            progress.advance(max(0, written_bytes - seen_bytes))
            seen_bytes = max(seen_bytes, written_bytes)
        else:
            return


def _written_bytes(folder: Path) -> int:
    # pip moves and deletes files meanwhile.
    size_bytes = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                size_bytes += (Path(root) / name).stat().st_size
            except FileNotFoundError:
                continue
    return size_bytes


def _reason(log: Path) -> str:
    """The first line that pip calls an error; without one, its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines[-1:] or ["pip gave no reason"])[0].rstrip(".")
