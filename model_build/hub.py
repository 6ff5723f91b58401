"""Weights from a model hub, at one commit: huggingface_hub finds, downloads and caches; what arrives is checked here."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from model_build.digests import sha256_of_file
from model_build.errors import BuildError
from model_build.huggingface_source import (
    CONFIGURATION,
    GENERATION,
    TOKENIZER_FILES,
    choose_weights,
    digest_of_weights,
    load_folder,
)
from model_build.progress import Progress
from whisperstack_contract.artefact import WeightsSource

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

    from model_build.checkpoint import Checkpoint

_REPOSITORY: Final = re.compile(r"[\w.-]+/[\w.-]+")
_NOT_STATED: Final = "not stated"


@dataclass(frozen=True)
class HubSource:
    """weights: name → SHA-256 as the hub states it. files: all that is wanted. revision: the full commit."""

    repository: str
    revision: str
    licence: str
    author: str
    weights: dict[str, str]
    files: tuple[str, ...]

    @classmethod
    def find(cls, repository: str, revision: str, progress: Progress) -> "HubSource":
        """revision: a commit, or a branch or tag, which is resolved to its commit now. Raises BuildError."""
        if not _REPOSITORY.fullmatch(repository):
            raise BuildError(f"--repository is {repository!r}; give owner/name, such as openai/whisper-small")
        progress.stage("Asking the model hub")
        with _explained(f"{repository} at {revision}"):
            from huggingface_hub import HfApi

            info = HfApi(endpoint=_endpoint()).model_info(repository, revision=revision, files_metadata=True)
        if not info.sha:
            raise BuildError(f"the hub names no commit for {repository} at {revision}; give --revision the full commit hash")
        sizes = {entry.rfilename: entry for entry in info.siblings or ()}
        what = f"{repository} at {info.sha}"
        names = choose_weights(
            set(sizes), lambda: _fetch(repository, info.sha, "model.safetensors.index.json").read_bytes(), what
        )
        weights = {name: _stated_digest(sizes.get(name), name, what) for name in names}
        belonging = [name for name in (CONFIGURATION, GENERATION, *TOKENIZER_FILES) if name in sizes]
        if CONFIGURATION not in belonging:
            raise BuildError(f"{what} has no {CONFIGURATION}; give a repository that transformers' save_pretrained has filled")
        return cls(repository, info.sha, _licence(info), info.author or repository.split("/")[0], weights, (*belonging, *names))

    def describe(self) -> WeightsSource:
        digest = digest_of_weights(self.weights)
        return WeightsSource("hub", self.repository, self.licence, digest, self.author, self.revision)

    def load(self, progress: Progress) -> "Checkpoint":
        paths = {name: _fetch(self.repository, self.revision, name, progress) for name in self.files}
        for name, expected in self.weights.items():
            progress.stage(f"Checking {name}")
            if (got := sha256_of_file(paths[name])) != expected:
                # Through the link, so that the next attempt downloads it.
                paths[name].resolve().unlink()
                raise BuildError(
                    f"{name} of {self.repository} at {self.revision} arrived with the SHA-256 {got}; the hub says {expected}; "
                    "it was deleted: try again"
                )
        progress.stage("Reading the weights")
        return load_folder(paths[CONFIGURATION].parent)


def _stated_digest(entry: Any, name: str, what: str) -> str:
    digest = getattr(getattr(entry, "lfs", None), "sha256", None)
    if not digest:
        raise BuildError(f"the hub states no SHA-256 of {name} in {what}; download the folder and use --source folder")
    return str(digest)


def _licence(info: "ModelInfo") -> str:
    stated = getattr(info.card_data, "license", None) or next(
        (tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")), _NOT_STATED
    )
    return stated if isinstance(stated, str) else _NOT_STATED


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT")


def _fetch(repository: str, revision: str, name: str, progress: Progress | None = None) -> Path:
    """The file in the hub's own cache, where only whole files get their names; a broken connection is taken up again."""
    with _explained(f"{name} of {repository}"):
        from huggingface_hub import hf_hub_download

        bar = None if progress is None else _bar(name, progress)
        return Path(hf_hub_download(repository, name, revision=revision, endpoint=_endpoint(), tqdm_class=bar))


def _bar(name: str, progress: Progress) -> Any:
    """A tqdm that shows nothing itself and tells `progress` instead."""
    from tqdm import tqdm

    class Told(tqdm):  # type: ignore[misc]
        def __init__(self, *_: object, total: float | None = None, initial: float = 0, **__: object) -> None:
            super().__init__(total=total, initial=initial, disable=True)
            progress.stage(f"Downloading {name}", None if total is None else int(total))
            progress.advance(int(initial))

        def update(self, n: float | None = 1) -> None:
            progress.advance(int(n or 0))

    return Told


@contextmanager
def _explained(what: str) -> Iterator[None]:
    from httpx2 import HTTPError
    from huggingface_hub import errors as hub

    kinds: dict[type[Exception], Callable[[Exception], str]] = {
        hub.GatedRepoError: lambda _: (
            "its owner must grant access first; accept its terms on the hub and sign in (hf auth login)"
        ),
        hub.RepositoryNotFoundError: lambda _: "there is no such repository, or it is private: sign in (hf auth login)",
        hub.RevisionNotFoundError: lambda _: "there is no such revision; give a branch, a tag or a full commit hash",
        hub.RemoteEntryNotFoundError: lambda _: "there is no such file",
    }
    try:
        yield
    except (hub.HfHubHTTPError, HTTPError, OSError, ValueError) as error:
        told = next((tell(error) for kind, tell in kinds.items() if isinstance(error, kind)), None)
        reason = told or (
            f"{str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__}; check the network and try "
            "again, or use --source folder with what is on this machine"
        )
        raise BuildError(f"the model hub did not give {what}: {reason}") from error
