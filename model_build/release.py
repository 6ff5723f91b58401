"""The release manifest beside a built archive, and whether it may be deployed."""

from pathlib import Path

from model_build.errors import BuildError
from whisperstack_contract.artefact import RELEASE_MANIFEST_FILENAME, ReleaseManifest
from whisperstack_contract.keys import ARCHIVE_FILENAME


def archive_path(folder: Path) -> Path:
    return folder / ARCHIVE_FILENAME


def find_release(folder: Path) -> ReleaseManifest | None:
    """The release in `folder`, or None where there is none that this version can read."""
    try:
        return ReleaseManifest.from_json((folder / RELEASE_MANIFEST_FILENAME).read_bytes())
    except (OSError, ValueError):
        return None


def require_release(folder: Path, engine: str, model: str) -> ReleaseManifest:
    """A release that was really built. Raises BuildError, with the command that builds it, where there is none."""
    remedy = f"build it: .venv/bin/python -m model_build build --engine {engine} --model {model}"
    path = folder / RELEASE_MANIFEST_FILENAME
    if not path.is_file():
        raise BuildError(f"no artefact of {model} for {engine} has been built ({path} does not exist); {remedy}")
    try:
        release = ReleaseManifest.from_json(path.read_bytes())
    except ValueError as error:
        raise BuildError(f"{path} cannot be read ({error}); {remedy}") from error
    if release.example:
        raise BuildError(f"{path} is the example that synth uses while nothing is built, and has no archive; {remedy}")
    if (release.engine, release.model) != (engine, model):
        raise BuildError(f"{path} describes {release.model} for {release.engine}; {remedy}")
    return release
