"""The command line: reads what was asked for, and hands it to those who do it."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from model_build.artefact import build_artefact
from model_build.checking_commands import register
from model_build.errors import BuildError
from model_build.layouts import LAYOUTS, layout_of
from model_build.options import (
    OUTPUT_ROOT,
    PROJECT_ROOT,
    EngineOption,
    EnvironmentOption,
    ModelOption,
    OutputOption,
    choose_models,
    explained,
    model_folder,
)
from model_build.packages import ContainerPackages
from model_build.progress import TerminalProgress
from model_build.publish import publish_release, storage_stack
from model_build.release import require_release
from model_build.sources import CTranslate2Source, OfficialSource, PackageSource, Source

app = typer.Typer(
    help="Build Whisper model artefacts, check them and publish them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


class SourceKind(StrEnum):
    OFFICIAL = "official"
    PACKAGE = "package"
    CTRANSLATE2 = "ctranslate2"


@app.command()
def build(
    environment: Annotated[str | None, typer.Option("--env", help="The environment to build for, such as dev.")] = None,
    engine: EngineOption = None,
    model: ModelOption = None,
    source: Annotated[SourceKind, typer.Option(help="Where the weights come from.")] = SourceKind.OFFICIAL,
    path: Annotated[Path | None, typer.Option(help="The CTranslate2 folder, with --source ctranslate2.")] = None,
    licence: Annotated[str, typer.Option(help="The licence of the weights, with --source ctranslate2.")] = "not stated",
    output_root: OutputOption = OUTPUT_ROOT,
) -> None:
    """Build model.tar.gz and its release manifest, unless they are up to date."""
    with explained(), TerminalProgress() as progress:
        for its_engine, its_model in choose_models(environment, engine, model):
            weights = _choose_source(source, its_model, path, licence)
            packages = ContainerPackages.of(PROJECT_ROOT, layout_of(its_engine).packages)
            folder = model_folder(output_root, its_engine, its_model)
            built = build_artefact(its_engine, its_model, weights, packages, folder, PROJECT_ROOT, progress)
            state = "built" if built.rebuilt else "up to date"
            typer.echo(f"{built.folder} is {state}: {built.release.archive_bytes} bytes, SHA-256 {built.release.digest}")


@app.command()
def fetch_packages() -> None:
    """Download the packages that artefacts carry for the container, unless they are there."""
    with explained(), TerminalProgress() as progress:
        for lock in sorted({layout.packages for layout in LAYOUTS.values()}):
            packages = ContainerPackages.of(PROJECT_ROOT, lock)
            files = packages.fetch(progress)
            typer.echo(f"{packages.cache} holds {len(files)} packages that {lock} names")


@app.command()
def publish(
    environment: EnvironmentOption,
    engine: EngineOption = None,
    model: ModelOption = None,
    stack: Annotated[str | None, typer.Option(help="The stack with the model bucket, where it has another name.")] = None,
    output_root: OutputOption = OUTPUT_ROOT,
) -> None:
    """Upload a built archive to the environment's model bucket, unless it is there."""
    with explained(), TerminalProgress() as progress:
        for its_engine, its_model in choose_models(environment, engine, model):
            folder = model_folder(output_root, its_engine, its_model)
            release = require_release(folder, its_engine, its_model)
            address, uploaded = publish_release(release, folder, stack or storage_stack(environment), progress)
            typer.echo(f"{address} is {'published' if uploaded else 'already published'}")


@app.command()
def check_release(
    environment: EnvironmentOption,
    engine: EngineOption = None,
    model: ModelOption = None,
    output_root: OutputOption = OUTPUT_ROOT,
) -> None:
    """Succeed only if every artefact has been built that the environment is deployed with."""
    with explained():
        for its_engine, its_model in choose_models(environment, engine, model):
            release = require_release(model_folder(output_root, its_engine, its_model), its_engine, its_model)
            typer.echo(f"{environment} can be deployed with {its_model} for {its_engine}, SHA-256 {release.digest}")


register(app)


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
