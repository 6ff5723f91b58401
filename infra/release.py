"""Which model release to deploy. Synth reads a small manifest and never the weights."""

import re
from pathlib import Path
from typing import Final

from infra.errors import ConfigurationError
from whisperstack_contract.artefact import RELEASE_MANIFEST_FILENAME, ReleaseManifest, artefact_folder

EXAMPLE_MANIFEST: Final = Path(__file__).with_name("example-release.json")

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_LAYOUT: Final = "archive"


def find_release(root: Path, engine: str, model: str, override: Path | None = None) -> ReleaseManifest:
    """The release to deploy: `override`, else the one built under `root`, else the stand-in, so that synth always works.

    Raises ConfigurationError where a manifest is missing, unreadable, or describes another engine or model.
    """
    if override is not None:
        if not override.is_file():
            raise ConfigurationError(
                f"there is no release manifest at {override}; build one, or give the path of one that exists"
            )
        return _read(override, engine, model)
    built = root / artefact_folder(engine, model) / RELEASE_MANIFEST_FILENAME
    return _read(built if built.is_file() else EXAMPLE_MANIFEST, engine, model)


def _read(path: Path, engine: str, model: str) -> ReleaseManifest:
    try:
        release = ReleaseManifest.from_json(path.read_text())
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    if not _DIGEST.fullmatch(release.digest):
        raise ConfigurationError(f"{path}: digest {release.digest!r} is not 64 hexadecimal digits; build the artefact again")
    if release.layout != _LAYOUT:
        raise ConfigurationError(
            f"{path}: layout is {release.layout!r}; an asynchronous endpoint takes {_LAYOUT!r}; build that one"
        )
    if not release.example and (release.engine, release.model) != (engine, model):
        raise ConfigurationError(
            f"{path} holds {release.engine}/{release.model}, but the environment asks for {engine}/{model}; "
            "build that release, or change the environment"
        )
    return release
