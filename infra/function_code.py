"""Puts a function's code and its dependencies into one folder, which becomes the function's zip.

All dependencies are pure Python and installed beside the CDK, so they are copied rather than installed: no container, no
network, and the same bytes for the same lock file. The Lambda runtime has a boto3 too, but an older one that may not know the
parameters that we send.
"""

import fcntl
import shutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import distribution
from pathlib import Path, PurePath
from typing import Final

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


def stage_function(package: str, root: Path = ROOT, target: Path | None = None) -> Path:
    """The folder with all that `package` imports: lambda/<package>, what functions share, the contract, the dependencies.

    Only files that changed are written, by one synth at a time: another may be reading them.
    Raises ConfigurationError where the function has no handler.
    """
    source = root / "lambda" / package
    if not (source / "handler.py").is_file():
        raise ConfigurationError(f"{source / 'handler.py'} does not exist; write the function, or correct the package's name")
    folder = target or FUNCTIONS_FOLDER / package
    files = {**_dependencies(), **_DATA.get(package, {})}
    for own in (root / "contract" / "whisperstack_contract", source, *_shared_packages(root / "lambda")):
        files.update(_package(own))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for path in _existing(folder):
            if path.relative_to(folder) not in files:
                path.unlink()
        for relative, path in files.items():
            _copy(path, folder / relative)
    return folder


def _shared_packages(functions: Path) -> list[Path]:
    """What lies beside the functions and has no handler is code that they share."""
    return [
        folder for folder in functions.iterdir() if (folder / "__init__.py").is_file() and not (folder / "handler.py").is_file()
    ]


def _package(folder: Path) -> dict[PurePath, Path]:
    return {
        PurePath(folder.name) / path.relative_to(folder): path
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@cache
def _dependencies() -> Mapping[PurePath, Path]:
    return {
        PurePath(file): Path(str(file.locate()))
        for name in DISTRIBUTIONS
        for file in distribution(name).files or ()
        if _is_needed(file)
    }


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


def _existing(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []


def _copy(source: Path, target: Path) -> None:
    content = source.read_bytes()
    if target.is_file() and target.read_bytes() == content:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    written = target.with_name(f".{target.name}.new")
    shutil.copyfile(source, written)
    # Lambda runs the code as another user, and the umask of the building machine must not change the zip.
    written.chmod(0o644)
    written.replace(target)
