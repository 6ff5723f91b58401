"""The main job in one go: deploy to an embedded AWS, send recordings through, show what came of them."""

import fcntl
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local.batch import BatchRun
from local.deployment import BeforeEndpoints, Deployment, Engine, Layout, deploy
from local.embedded_aws import PROJECT, EmbeddedAws, embedded_aws
from local.realtime import transcribe_in_real_time
from local.recordings import Recording
from local.stages import Stages
from local.transcription import Listener, Result, read_object, transcribe
from whisperstack_contract.jobs import JobState
from whisperstack_contract.transcript import Transcript

_FOLDER: Final = PROJECT / "build" / "local"


# Names a folder that is emptied, so nothing that leads elsewhere.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


class RunNameError(Exception):
    """The name cannot be a folder's."""


class AlreadyRunningError(Exception):
    """Another command uses the same folder."""


@contextmanager
def deployed(
    name: str,
    stages: Stages,
    port: int | None = None,
    engine: Engine = Engine.PYTORCH,
    layout: Layout = Layout.ARCHIVE,
    before_endpoints: BeforeEndpoints | None = None,
) -> Iterator[tuple[EmbeddedAws, Deployment]]:
    """An embedded AWS with the product deployed to it, in build/local/<name>; gone when the block ends."""
    with ExitStack() as stack:
        folder = stack.enter_context(_own_folder(name))
        with stages.stage("Start the embedded AWS"):
            aws = stack.enter_context(embedded_aws(folder, port))
        yield aws, deploy(aws, folder, stages, engine, layout, before_endpoints)


@contextmanager
def _own_folder(name: str) -> Iterator[Path]:
    """build/local/<name>, for one command at a time. Raises AlreadyRunningError, RunNameError."""
    if not _NAME.fullmatch(name):
        raise RunNameError(f"the run's name is {name!r}; it becomes a folder: use letters, digits and hyphens, such as second")
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(
                f"a run named {name!r} is going on in {_FOLDER / name}; end it first, or give this one another name with --name"
            ) from error
        yield _FOLDER / name


class Mode(StrEnum):
    """Which inference option transcribes."""

    ASYNC = "async"
    REALTIME = "realtime"
    BATCH = "batch"


def run_demo(recordings: Sequence[Recording], console: Console, name: str, engine: Engine, mode: Mode, layout: Layout) -> bool:
    """Deploy, transcribe, print. Returns whether every recording became a transcript."""
    stages = Stages(console)
    count = f"{len(recordings)} recording{'s' if len(recordings) > 1 else ''}"
    run = {Mode.ASYNC: _through_the_pipeline, Mode.REALTIME: _in_real_time, Mode.BATCH: _in_a_batch}[mode]
    with deployed(name, stages, engine=engine, layout=layout) as (aws, deployment):
        succeeded = run(aws, deployment, recordings, stages, count)
        stages.print_times()
    console.print("The embedded AWS is gone; nothing is left running.")
    console.print(f"{succeeded} of {count} transcribed.")
    return succeeded == len(recordings)


def _through_the_pipeline(
    aws: EmbeddedAws, deployment: Deployment, recordings: Sequence[Recording], stages: Stages, count: str
) -> int:
    """Returns how many became transcripts."""
    console = stages.console
    listener = Listener(aws, deployment)
    results = []
    with stages.stage(f"Upload and transcribe {count}"):
        for result in transcribe(aws, deployment, listener, recordings):
            results.append(result)
            state = result.announcement.state if result.announcement else "not uploaded"
            line = f"  {len(results)} of {len(recordings)}: {result.recording.key} {state}"
            console.print(line, highlight=False, markup=False)
    for result in results:
        _print_result(aws, deployment, result, console)
    return sum(bool(result.announcement and result.announcement.state is JobState.SUCCEEDED) for result in results)


def _in_real_time(aws: EmbeddedAws, deployment: Deployment, recordings: Sequence[Recording], stages: Stages, count: str) -> int:
    """Returns how many became transcripts."""
    results = []
    with stages.stage(f"Send {count} to the real-time endpoint {deployment.realtime_endpoint_name}"):
        for result in transcribe_in_real_time(aws, deployment, recordings):
            results.append(result)
            state = "answered" if result.transcript else "refused"
            line = f"  {len(results)} of {len(recordings)}: {result.recording.key} {state}"
            stages.console.print(line, highlight=False, markup=False)
    for result in results:
        stages.console.rule(escape(str(result.recording.path)))
        if result.transcript is None:
            stages.console.print(f"[red]refused[/red] ({escape(result.code)}): {escape(result.reason)}", highlight=False)
        else:
            _print_transcript(result.transcript, f"{result.seconds:.1f} s from request to answer", stages.console)
    return sum(result.transcript is not None for result in results)


def _in_a_batch(aws: EmbeddedAws, deployment: Deployment, recordings: Sequence[Recording], stages: Stages, count: str) -> int:
    """Returns how many became transcripts."""
    console = stages.console
    run = BatchRun(aws, deployment, Listener(aws, deployment), _Told(console))
    results = []
    with stages.stage(f"Upload {count} and transcribe them in one batch"):
        for result in run.transcribe(recordings):
            results.append(result)
            line = f"  {len(results)} of {len(recordings)}: {result.recording.key} {_state(result)}"
            console.print(line, highlight=False, markup=False)
    table = Table("recording", "state", "seconds", "what came of it", title="Results", title_justify="left")
    table.columns[2].justify = "right"
    for result in sorted(results, key=lambda each: each.recording.key):
        table.add_row(*map(escape, (str(result.recording.path), _state(result), *_outcome(aws, deployment, result))))
    console.print(table)
    _print_report(aws, deployment, run.report, console)
    return sum(_state(result) == JobState.SUCCEEDED for result in results)


class _Told:
    """Prints a batch's state whenever it changes."""

    def __init__(self, console: Console) -> None:
        self._console, self._last = console, ""

    def __call__(self, state: str) -> None:
        if state != self._last:
            self._console.print(f"  the run is at {state}", style="dim", highlight=False)
            self._last = state


def _state(result: Result) -> str:
    return result.announcement.state if result.announcement else "not uploaded"


def _outcome(aws: EmbeddedAws, deployment: Deployment, result: Result) -> tuple[str, str]:
    """(seconds of audio, the text with what is to be known of it, or the error)."""
    if result.announcement is None:
        return "", result.reason
    if result.announcement.error:
        return "", f"{result.announcement.error.code}: {result.announcement.error.message}"
    transcript = Transcript.from_json(read_object(aws, deployment, result.announcement.outputs["json"]))
    warnings = [f"{warning.code}: {warning.message}" for warning in transcript.whisperstack.warnings]
    return f"{transcript.duration:.1f}", "\n".join([transcript.text.strip() or "(no speech)", *warnings])


def _print_report(aws: EmbeddedAws, deployment: Deployment, report: dict[str, Any], console: Console) -> None:
    """The numbers, where the report lies, and a copy that outlasts the embedded AWS."""
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in report["counts"].items() if count)
    console.print(f"The run: {counts}", highlight=False)
    key = str(report["reports"]["html"])
    copy = aws.surroundings.logs.parent / "report.html"
    copy.write_text(read_object(aws, deployment, key), encoding="utf-8")
    for place in report["reports"].values():
        console.print(
            f"Its report: s3://{deployment.transcripts_bucket}/{place}", highlight=False, markup=False, soft_wrap=True
        )
    console.print(f"A copy that stays: {copy}", highlight=False, markup=False, soft_wrap=True)


def _print_result(aws: EmbeddedAws, deployment: Deployment, result: Result, console: Console) -> None:
    announcement = result.announcement
    console.rule(escape(str(result.recording.path)))
    if announcement is None:
        console.print(f"[red]not uploaded[/red]: {escape(result.reason)}")
        return
    if announcement.error:
        console.print(f"[red]{announcement.state}[/red] ({announcement.error.code}): {escape(announcement.error.message)}")
    if json_key := announcement.outputs.get("json"):
        transcript = Transcript.from_json(read_object(aws, deployment, json_key))
        _print_transcript(transcript, f"{result.seconds:.1f} s from upload to result", console)
    for key in announcement.outputs.values():
        console.print(f"  s3://{deployment.transcripts_bucket}/{key}", highlight=False, markup=False, soft_wrap=True)


def _print_transcript(transcript: Transcript, took: str, console: Console) -> None:
    console.print(transcript.text.strip() or "[dim](no speech)[/dim]", markup=not transcript.text.strip(), highlight=False)
    for warning in transcript.whisperstack.warnings:
        console.print(f"[yellow]{warning.code}[/yellow]: {escape(warning.message)}")
    timings = ", ".join(f"{name} {seconds:.1f}" for name, seconds in transcript.whisperstack.timings.items())
    console.print(f"[dim]{transcript.duration:.1f} s of audio, {took} ({timings})[/dim]", highlight=False)
