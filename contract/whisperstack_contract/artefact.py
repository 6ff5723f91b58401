"""The two manifests of a model artefact, and where they lie.

`ArchiveManifest` travels inside model.tar.gz: what the archive holds, with a SHA-256 for every file, so that weights are
checked before they are loaded. `ReleaseManifest` lies beside the archive: the little that synth needs to know of it.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

# Not manifest.json: Multi Model Server takes a file of that name for its own older format and ends.
ARCHIVE_MANIFEST_FILENAME: Final = "whisperstack.json"
RELEASE_MANIFEST_FILENAME: Final = "release.json"
# What people and programs want to know of the model, beside the manifest.
MODEL_CARD_FILENAME: Final = "model-card.json"
MODEL_CARD_PAGE: Final = "MODEL_CARD.md"
ARTEFACTS_FOLDER: Final = PurePosixPath("build/artefacts")  # below the project's root

_SCHEMA: Final = 1


@dataclass(frozen=True)
class WeightsSource:
    """Where the weights come from. kind: of source, as `model_build build --source` names it.

    sha256: of the file as it was found there; of weights in several files, of the list of their digests. revision: the commit,
    where the source has one. author, licence: as the source or the user states them.
    """

    kind: str
    name: str
    licence: str
    sha256: str
    author: str = "not stated"
    revision: str = ""


@dataclass(frozen=True)
class VendoredPackages:
    """The packages that the archive brings for the container. versions: by name.

    folder: where they lie in the archive. sha256: of the lock that names them and of the rules by which they are unpacked.
    """

    folder: str
    versions: dict[str, str]
    sha256: str


@dataclass(frozen=True)
class ArchiveManifest:
    """files: path inside the archive → SHA-256 hex digest, for every file but this one. weights: one of those paths.

    measured: a benchmark's results, as whoever built the archive gave them; empty where none was run.
    """

    engine: str
    model: str
    weights: str
    source: WeightsSource
    vendored: VendoredPackages
    files: dict[str, str]
    built_with: dict[str, str]
    measured: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps({"schema": _SCHEMA, **asdict(self)}, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "ArchiveManifest":
        """Raises ValueError where `text` is not an archive manifest of this schema."""
        values = _values(text, "archive manifest")
        try:
            source, vendored = WeightsSource(**values["source"]), VendoredPackages(**values["vendored"])
            return cls(**{**values, "source": source, "vendored": vendored})
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an archive manifest: {error}; build the artefact again") from error


@dataclass(frozen=True)
class ReleaseManifest:
    """digest: SHA-256 of model.tar.gz. example: True only for the stand-in that lets synth work with nothing built.

    has_ffmpeg: whether the archive carries a decoder, for an image that has none.
    """

    engine: str
    model: str
    digest: str
    archive_bytes: int
    layout: str = "archive"
    example: bool = False
    has_ffmpeg: bool = False

    def to_json(self) -> str:
        return json.dumps({"schema": _SCHEMA, **asdict(self)}, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "ReleaseManifest":
        """Raises ValueError where `text` is not a release manifest of this schema."""
        try:
            return cls(**_values(text, "release manifest"))
        except TypeError as error:
            raise ValueError(f"not a release manifest: {error}; build the artefact again") from error


def artefact_folder(engine: str, model: str) -> PurePosixPath:
    """Folder of one built artefact (model.tar.gz and its release manifest), relative to the project's root."""
    return ARTEFACTS_FOLDER / engine / model


def _values(text: str | bytes, what: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
        schema = values.pop("schema")
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a {what}: {error}; build the artefact again") from error
    if schema != _SCHEMA:
        raise ValueError(f"{what} has schema {schema}; this version reads {_SCHEMA}; build the artefact again")
    return dict(values)
