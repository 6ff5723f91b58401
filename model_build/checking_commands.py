"""The commands that look at sizes and artefacts and change nothing: list, inspect, verify."""

from pathlib import Path
from typing import Annotated, Final

import typer

from model_build.catalogue import table
from model_build.errors import BuildError
from model_build.handler_check import transcribe
from model_build.inspection import find_archive, inspect_archive
from model_build.options import (
    OUTPUT_ROOT,
    PROJECT_ROOT,
    Engine,
    EngineOption,
    ModelOption,
    OutputOption,
    choose_model,
    explained,
    model_folder,
)
from model_build.progress import TerminalProgress
from model_build.reading import printable
from model_build.release import archive_path, require_release
from model_build.verification import verified_archive

_SAMPLE: Final = PROJECT_ROOT / "samples" / "jfk.mp3"

PathArgument = Annotated[
    Path | None, typer.Argument(help="A model.tar.gz or its folder; else what --env, --engine and --model name.")
]
AnyEnvironmentOption = Annotated[str | None, typer.Option("--env", help="The environment, such as dev.")]


def list_sizes(output_root: OutputOption = OUTPUT_ROOT) -> None:
    """Show the sizes of Whisper: parameters, bytes of the weights, languages, a recommended instance, and which are built.

    An artefact for pytorch carries packages of about 74 MB beside the weights. Those that are built show their own bytes.
    """
    with explained():
        for line in table(output_root):
            typer.echo(line)


def inspect(
    path: PathArgument = None,
    environment: AnyEnvironmentOption = None,
    engine: EngineOption = None,
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    output_root: OutputOption = OUTPUT_ROOT,
) -> None:
    """Show what an archive says of itself and what it holds, without unpacking it."""
    with explained(), TerminalProgress() as progress:
        found = inspect_archive(_choose_archive(path, environment, engine, model, output_root), progress)
    for line in [found.to_json()] if as_json else found.lines():
        typer.echo(line)


def verify(
    path: PathArgument = None,
    environment: AnyEnvironmentOption = None,
    engine: EngineOption = None,
    model: ModelOption = None,
    audio: Annotated[
        Path | None, typer.Option("--transcribe", help="A recording; by default samples/jfk.mp3 where it exists.")
    ] = None,
    no_transcribe: Annotated[
        bool, typer.Option("--no-transcribe", help="Do not run the archive's code, as for an archive of unknown origin.")
    ] = False,
    output_root: OutputOption = OUTPUT_ROOT,
) -> None:
    """Succeed only if an archive is what its manifest says and what a serving container needs, and transcribes.

    Its release.json must lie beside it, as build leaves it: copy both.
    """
    with explained(), TerminalProgress() as progress:
        recording = _choose_recording(audio, no_transcribe)
        chosen = _choose_archive(path, environment, engine, model, output_root)
        heard = None
        with verified_archive(chosen, progress) as verified:
            if audio is not None and not verified.has_handler:
                raise BuildError(
                    f"{chosen} is for {verified.manifest.engine} and brings no code that could transcribe {audio}; "
                    "leave out --transcribe"
                )
            if recording is not None and verified.has_handler:
                progress.stage(f"Transcribing {recording.name}")
                heard = transcribe(verified, recording)
        manifest, digest, n_files = verified.manifest, verified.archive.digest, len(verified.archive.entries)
    if not verified.has_handler:
        typer.echo(f"it was not asked to transcribe: an archive for {manifest.engine} brings no code, its image has that")
    if heard is not None and recording is not None:
        typer.echo(f"{recording.name}: {printable(heard.text)}")
        typer.echo(f"loaded in {heard.load_seconds:.1f} s, transcribed in {heard.transcription_seconds:.1f} s")
    typer.echo(f"{chosen} is whole: {printable(manifest.model)} for {manifest.engine}, {n_files} files, SHA-256 {digest}")


def register(app: typer.Typer) -> None:
    app.command("list")(list_sizes)
    app.command()(inspect)
    app.command()(verify)


def _choose_archive(
    path: Path | None, environment: str | None, engine: Engine | None, model: str | None, output_root: Path
) -> Path:
    if path is not None:
        if environment or engine or model:
            raise BuildError(f"{path} already says which archive; leave out --env, --engine and --model, or the path")
        return find_archive(path)
    engine, model = choose_model(environment, engine, model)
    folder = model_folder(output_root, engine, model)
    require_release(folder, engine, model)
    if not archive_path(folder).is_file():
        raise BuildError(
            f"{archive_path(folder)} does not exist; "
            f"build it: .venv/bin/python -m model_build build --engine {engine} --model {model}"
        )
    return archive_path(folder)


def _choose_recording(audio: Path | None, no_transcribe: bool) -> Path | None:
    if audio is None:
        return _SAMPLE if _SAMPLE.is_file() and not no_transcribe else None
    if no_transcribe:
        raise BuildError(f"--transcribe {audio} and --no-transcribe exclude each other; leave one out")
    if not audio.is_file():
        raise BuildError(f"there is no recording at {audio}; give the path of an audio file")
    return audio
