"""Which source of weights was asked for: the options of `build`, and what goes with what."""

import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from model_build.errors import BuildError
from model_build.huggingface_source import HuggingFaceSource
from model_build.progress import Progress
from model_build.sources import CheckpointSource, CTranslate2Source, OfficialSource, PackageSource, Source

NOT_STATED: Final = "not stated"

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class SourceKind(StrEnum):
    OFFICIAL = "official"
    PACKAGE = "package"
    CHECKPOINT = "checkpoint"
    FOLDER = "folder"
    HUB = "hub"
    CTRANSLATE2 = "ctranslate2"


_WITH_PATH: Final = (SourceKind.CHECKPOINT, SourceKind.FOLDER, SourceKind.CTRANSLATE2)
_LOCAL: Final = f"{', '.join(_WITH_PATH[:-1])} or {_WITH_PATH[-1]}"

PathOption = Annotated[Path | None, typer.Option(help=f"The file or folder, with --source {_LOCAL}.")]
RepositoryOption = Annotated[str | None, typer.Option(help="owner/name, with --source hub.")]
RevisionOption = Annotated[
    str | None,
    typer.Option(help="The commit, with --source hub; a branch or tag is resolved to its commit, which is recorded."),
]
Sha256Option = Annotated[str | None, typer.Option(help="What the weights must have; of several files, as inspect shows it.")]
LicenceOption = Annotated[str, typer.Option(help=f"Of the weights, with --source {_LOCAL}.")]
AuthorOption = Annotated[str, typer.Option(help=f"Of the weights, with --source {_LOCAL}.")]


@dataclass(frozen=True)
class SourceRequest:
    """What the command line says of the source."""

    kind: SourceKind
    path: Path | None
    repository: str | None
    revision: str | None
    sha256: str | None
    licence: str
    author: str

    def choose(self, model: str, progress: Progress) -> Source:
        """Raises BuildError where the options do not go together, or where the source has not the wanted digest."""
        self._check()
        source = self._source(model, progress)
        if self.sha256 is not None:
            progress.stage("Checking the weights")
            described = source.describe()
            if described.sha256 != self.sha256:
                raise BuildError(
                    f"{described.name} has the SHA-256 {described.sha256}; --sha256 says {self.sha256}; "
                    "it is not the file that you mean, or it is damaged"
                )
        return source

    def _check(self) -> None:
        given = {"--repository": self.repository, "--revision": self.revision}
        for option, value in given.items():
            if (value is not None) != (self.kind is SourceKind.HUB):
                raise BuildError(
                    f"{option} {value} goes with --source hub only; the source is {self.kind}"
                    if value is not None
                    else f"--source hub needs {option}"
                )
        if self.path is None and self.kind in _WITH_PATH:
            raise BuildError(f"--source {self.kind} needs --path")
        if self.path is not None and self.kind not in _WITH_PATH:
            raise BuildError(f"--path {self.path} goes with --source {_LOCAL} only; the source is {self.kind}")
        if self.kind not in _WITH_PATH and (self.licence, self.author) != (NOT_STATED, NOT_STATED):
            raise BuildError(f"--licence and --author go with --source {_LOCAL} only; the source {self.kind} states its own")
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise BuildError(f"--sha256 is {self.sha256!r}; give 64 hexadecimal digits in lower case")

    def _source(self, model: str, progress: Progress) -> Source:
        if self.kind is SourceKind.PACKAGE:
            return PackageSource.find(model)
        if self.kind is SourceKind.HUB:
            from model_build.hub import HubSource

            return HubSource.find(str(self.repository), str(self.revision), progress)
        if self.path is None:
            # The folder that openai-whisper itself uses, so that nothing is fetched twice.
            cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
            return OfficialSource(model, cache / "whisper")
        if self.kind is SourceKind.CHECKPOINT:
            if not self.path.is_file():
                raise BuildError(f"there is no file at {self.path}; give the path of a .pt file of openai-whisper")
            return CheckpointSource(self.path, self.licence, self.author)
        if not self.path.is_dir():
            raise BuildError(f"there is no folder at {self.path}; give the folder that holds the model")
        local = HuggingFaceSource if self.kind is SourceKind.FOLDER else CTranslate2Source
        return local(self.path, self.licence, self.author)
