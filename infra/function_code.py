"""Packs a function's code and its dependencies into the zip that Lambda gets.

All dependencies are pure Python and installed beside the CDK, so they are copied rather than installed: no container, no
network, and the same content for the same lock file. The Lambda runtime has a boto3 too, but an older one that may not know the
parameters that we send. The CDK could zip a folder itself; packed here, what all functions share is read and packed once.
"""

import os
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.metadata import distribution
from io import BytesIO
from pathlib import Path, PurePath
from typing import Final, NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from infra.errors import ConfigurationError

ROOT: Final = Path(__file__).resolve().parents[1]
FUNCTIONS_FOLDER: Final = ROOT / "build" / "functions"

DISTRIBUTIONS: Final = (
    *("aws-lambda-powertools", "typing_extensions"),
    *("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3"),
)

# The descriptions of all other services are nearly nine tenths of botocore.
SERVICES: Final = frozenset(
    {
        "application-autoscaling",
        "cloudwatch",
        "dynamodb",
        "s3",
        "sagemaker",
        "sagemaker-runtime",
        "sns",
        "sqs",
        "stepfunctions",
        "sts",
    }
)
_DESCRIPTIONS: Final = (PurePath("botocore/data"), PurePath("boto3/data"))

# What a function carries beside code: path in the zip → path in the project.
_DATA: Final = {"transcribe_canary": {PurePath("transcribe_canary/sample.mp3"): ROOT / "samples" / "jfk.mp3"}}

# Lambda runs the code as another user, and the umask of the building machine must not change the zip.
_READABLE_FILE: Final = 0o100644 << 16


class FunctionCode(NamedTuple):
    """path: the zip. digest: of what is in it, the same whichever zlib has packed it."""

    path: Path
    digest: str


def stage_function(package: str, root: Path = ROOT, target: Path | None = None) -> FunctionCode:
    """A zip with all that `package` imports: lambda/<package>, what functions share, the contract, the dependencies.

    It is written only where its content changes. Raises ConfigurationError where the function has no handler.
    """
    source = root / "lambda" / package
    if not (source / "handler.py").is_file():
        raise ConfigurationError(f"{source / 'handler.py'} does not exist; write the function, or correct the package's name")
    own = {path: file.read_bytes() for path, file in _DATA.get(package, {}).items()}
    for folder in (root / "contract" / "whisperstack_contract", source, *_shared_packages(root / "lambda")):
        own.update(_package(folder))
    digest = sha256("".join(sorted((*_dependency_lines(), *_lines(own)))).encode()).hexdigest()
    path = target or FUNCTIONS_FOLDER / f"{package}.zip"
    try:
        _write(path, _packed(own))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror}); remove it, and synthesize again") from error
    return FunctionCode(path, digest)


def _packed(own: Mapping[PurePath, bytes]) -> bytes:
    packed = BytesIO(_packed_dependencies())
    with ZipFile(packed, "a") as archive:
        _add(archive, own)
    return packed.getvalue()


def _write(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another synth may be reading the file, or writing the same.
    written = path.with_name(f".{path.name}.{os.getpid()}")
    written.write_bytes(content)
    written.replace(path)


def _add(archive: ZipFile, files: Mapping[PurePath, bytes]) -> None:
    for path, content in sorted(files.items()):
        # Without a date: the earliest that a zip can have.
        entry = ZipInfo(str(path))
        entry.compress_type, entry.external_attr = ZIP_DEFLATED, _READABLE_FILE
        archive.writestr(entry, content)


def _lines(files: Mapping[PurePath, bytes]) -> list[str]:
    return [f"{path} {sha256(content).hexdigest()}\n" for path, content in files.items()]


def _shared_packages(functions: Path) -> list[Path]:
    """What lies beside the functions and has no handler is code that they share."""
    return [
        folder for folder in functions.iterdir() if (folder / "__init__.py").is_file() and not (folder / "handler.py").is_file()
    ]


def _package(folder: Path) -> dict[PurePath, bytes]:
    return {
        PurePath(folder.name) / path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@cache
def _dependencies() -> Mapping[PurePath, bytes]:
    return {
        PurePath(file): Path(str(file.locate())).read_bytes()
        for name in DISTRIBUTIONS
        for file in distribution(name).files or ()
        if _is_needed(file)
    }


@cache
def _dependency_lines() -> list[str]:
    return _lines(_dependencies())


@cache
def _packed_dependencies() -> bytes:
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        _add(archive, _dependencies())
    return packed.getvalue()


def _is_needed(file: PurePath) -> bool:
    if file.is_absolute() or ".." in file.parts or "__pycache__" in file.parts:
        return False
    if file.parts[0].endswith(".dist-info"):
        # Name, version and licence stay for vulnerability scanners; the rest tells how and when it was installed.
        return file.name == "METADATA" or file.name.upper().startswith(("LICENSE", "NOTICE"))
    for descriptions in _DESCRIPTIONS:
        if file.is_relative_to(descriptions):
            below = file.relative_to(descriptions).parts
            return len(below) == 1 or below[0] in SERVICES
    return True
