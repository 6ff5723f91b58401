"""The command line: reads what was asked for, and turns BuildError into one sentence and exit code 2."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer
from rich.console import Console

from model_build.artefact import build_artefact
from model_build.environment import engine_and_model
from model_build.errors import BuildError
from model_build.packages import ContainerPackages
from model_build.progress import TerminalProgress
from model_build.publish import publish_release, storage_stack
from model_build.release import require_release
from model_build.sources import CTranslate2Source, OfficialSource, PackageSource, Source
from whisperstack_contract.artefact import ARTEFACTS_FOLDER

_PROJECT_ROOT: Final = Path(__file__).resolve().parents[1]
_DEMO_MODEL: Final = "tiny.en"
_MODEL_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")

app = typer.Typer(
    help="Build Whisper model artefacts and publish them.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


class Engine(StrEnum):
    PYTORCH = "pytorch"


class SourceKind(StrEnum):
    OFFICIAL = "official"
    PACKAGE = "package"
    CTRANSLATE2 = "ctranslate2"


EngineOption = Annotated[Engine | None, typer.Option(help="What runs the model; by default the environment's.")]
ModelOption = Annotated[str | None, typer.Option(help="Such as tiny.en or large-v3; by default the environment's.")]
EnvironmentOption = Annotated[str, typer.Option("--env", help="The environment, such as dev.")]
OutputOption = Annotated[Path, typer.Option(help="Where the artefacts lie.")]

_OUTPUT_ROOT: Final = _PROJECT_ROOT / ARTEFACTS_FOLDER


@app.command()
def build(
    environment: Annotated[str | None, typer.Option("--env", help="The environment to build for, such as dev.")] = None,
    engine: EngineOption = None,
    model: ModelOption = None,
    source: Annotated[SourceKind, typer.Option(help="Where the weights come from.")] = SourceKind.OFFICIAL,
    path: Annotated[Path | None, typer.Option(help="The CTranslate2 folder, with --source ctranslate2.")] = None,
    licence: Annotated[str, typer.Option(help="The licence of the weights, with --source ctranslate2.")] = "not stated",
    output_root: OutputOption = _OUTPUT_ROOT,
) -> None:
    """Build model.tar.gz and its release manifest, unless they are up to date."""
    with _explained(), TerminalProgress() as progress:
        engine, model = _choose_model(environment, engine, model)
        weights = _choose_source(source, model, path, licence)
        packages = ContainerPackages.of(_PROJECT_ROOT)
        built = build_artefact(engine, model, weights, packages, _folder(output_root, engine, model), _PROJECT_ROOT, progress)
    state = "built" if built.rebuilt else "up to date"
    typer.echo(f"{built.folder} is {state}: {built.release.archive_bytes} bytes, SHA-256 {built.release.digest}")


@app.command()
def fetch_packages() -> None:
    """Download the packages that artefacts carry for the container, unless they are there."""
    with _explained(), TerminalProgress() as progress:
        packages = ContainerPackages.of(_PROJECT_ROOT)
        files = packages.fetch(progress)
    typer.echo(f"{packages.cache} holds {len(files)} packages that {packages.lock.name} names")


@app.command()
def publish(
    environment: EnvironmentOption,
    engine: EngineOption = None,
    model: ModelOption = None,
    stack: Annotated[str | None, typer.Option(help="The stack with the model bucket, where it has another name.")] = None,
    output_root: OutputOption = _OUTPUT_ROOT,
) -> None:
    """Upload a built archive to the environment's model bucket, unless it is there."""
    with _explained(), TerminalProgress() as progress:
        engine, model = _choose_model(environment, engine, model)
        folder = _folder(output_root, engine, model)
        release = require_release(folder, engine, model)
        address, uploaded = publish_release(release, folder, stack or storage_stack(environment), progress)
    typer.echo(f"{address} is {'published' if uploaded else 'already published'}")


@app.command()
def check_release(
    environment: EnvironmentOption,
    engine: EngineOption = None,
    model: ModelOption = None,
    output_root: OutputOption = _OUTPUT_ROOT,
) -> None:
    """Succeed only if an artefact has been built that the environment can be deployed with."""
    with _explained():
        engine, model = _choose_model(environment, engine, model)
        release = require_release(_folder(output_root, engine, model), engine, model)
    typer.echo(f"{environment} can be deployed with {model} for {engine}, SHA-256 {release.digest}")


def _choose_model(environment: str | None, engine: Engine | None, model: str | None) -> tuple[Engine, str]:
    """What was asked for, and the environment's choice for the rest; without an environment, the smallest model."""
    if environment is None:
        return engine or Engine.PYTORCH, model or _DEMO_MODEL
    if engine and model:
        return engine, model
    its_engine, its_model = engine_and_model(environment)
    if engine is None and its_engine not in list(Engine):
        raise BuildError(f"{environment} runs on {its_engine!r}; this version builds for: {', '.join(Engine)}")
    return engine or Engine(its_engine), model or its_model


def _choose_source(kind: SourceKind, model: str, path: Path | None, licence: str) -> Source:
    if path is not None and kind is not SourceKind.CTRANSLATE2:
        raise BuildError(f"--path {path} goes with --source ctranslate2 only; the source is {kind}")
    if kind is SourceKind.PACKAGE:
        return PackageSource.find(model)
    if kind is SourceKind.OFFICIAL:
        # The folder that openai-whisper itself uses, so that nothing is fetched twice.
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return OfficialSource(model, cache / "whisper")
    if path is None:
        raise BuildError("--source ctranslate2 needs --path with the folder of the model")
    return CTranslate2Source(path, licence)


def _folder(output_root: Path, engine: Engine, model: str) -> Path:
    # The name becomes a folder, so it must not lead out of the output root.
    if not _MODEL_NAME.fullmatch(model):
        raise BuildError(f"the model's name is {model!r}; use lower-case letters, digits, dots, hyphens and underscores")
    return output_root / engine / model


@contextmanager
def _explained() -> Iterator[None]:
    """A sentence instead of a traceback; and being terminated cleans up as being interrupted does."""
    previous = signal.signal(signal.SIGTERM, _exit_on_signal)
    try:
        yield
    except BuildError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"Error: {error}", markup=False)
        raise typer.Exit(2) from error
    finally:
        signal.signal(signal.SIGTERM, previous)


def _exit_on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # the signature is signal's
    raise SystemExit(128 + number)
