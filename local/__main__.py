"""`python -m local`: the demo, and an embedded AWS that keeps running."""

import sys
from pathlib import Path

# A source root of its own, and no installed package.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contract"))

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from local.commands import CommandError
from local.demo import AlreadyRunningError, Mode, RunNameError, deployed, run_demo
from local.deployment import Deployment, DeploymentError, Engine, Layout
from local.deployment_check import MissingResourcesError
from local.embedded_aws import PROJECT, EmbeddedAws, EmbeddedAwsError
from local.load import WAVES, LostUploadsError, run_load, show_load, write_load
from local.recordings import NoRecordingsError, find_recordings, split_paths
from local.result_file import ResultOption
from local.stages import Stages
from local.transcription import PipelineStuckError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Whisperstack in an embedded AWS, on this machine.",
)
console = Console()

_EXPECTED = (
    AlreadyRunningError,
    # The embedded AWS is gone, or does not do what was asked of it.
    Boto3Error,
    BotoCoreError,
    ClientError,
    CommandError,
    DeploymentError,
    EmbeddedAwsError,
    LostUploadsError,
    MissingResourcesError,
    NoRecordingsError,
    PipelineStuckError,
    RunNameError,
)
_SAMPLE = PROJECT / "samples" / "jfk.mp3"


RunName = Annotated[str, typer.Option("--name", help="Of this run, whose files lie in build/local/<name>: one at a time.")]

EngineOption = Annotated[Engine, typer.Option("--engine", help="What runs the model.")]


@app.command()
def demo(
    audio: Annotated[list[str] | None, typer.Argument(help="Recordings, or folders of recordings.")] = None,
    audio_line: Annotated[str, typer.Option("--audio", help="The same as one line of text, quoted as in a shell.")] = "",
    name: RunName = "demo",
    engine: EngineOption = Engine.PYTORCH,
    mode: Annotated[Mode, typer.Option("--mode", help="Which inference option transcribes.")] = Mode.ASYNC,
    layout: Annotated[Layout, typer.Option("--layout", help="What the endpoints start from.")] = Layout.ARCHIVE,
) -> None:
    """Deploy to a fresh embedded AWS, transcribe, print the results, leave nothing running."""
    with _ending_well():
        paths = [*(audio or []), *(split_paths(audio_line) if audio_line.strip() else [])]
        complete = run_demo(find_recordings(paths or [str(_SAMPLE)]), console, name, engine, mode, layout)
    raise typer.Exit(0 if complete else 1)


@app.command()
def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the embedded AWS.")] = 4566,
    name: RunName = "up",
    engine: EngineOption = Engine.PYTORCH,
) -> None:
    """Deploy to a fresh embedded AWS and keep it running until Ctrl-C."""
    stages = Stages(console)
    with _ending_well(), deployed(name, stages, port, engine) as (aws, deployment):
        stages.print_times()
        print(_instructions(aws, deployment))  # noqa: T201  # plain, so that it can be copied as it stands
        threading.Event().wait()


@app.command()
def load(
    uploads: Annotated[int, typer.Option(min=WAVES, help="How many, in ten waves.")] = 10_000,
    name: RunName = "load",
    result: ResultOption = None,
) -> None:
    """Send many small uploads through the deployed product, with a model that answers at once; fail where one is lost."""
    with _ending_well():
        outcome = run_load(uploads, console, name)
    show_load(outcome, console)
    if result:
        write_load(outcome, result)


def _instructions(aws: EmbeddedAws, deployment: Deployment) -> str:
    settings = "unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN\n" + "\n".join(
        f"export {name}={value}" for name, value in aws.surroundings.credentials.items()
    )
    return f"""
The embedded AWS runs at {aws.endpoint_url}. In another terminal:

{settings}

With the AWS CLI:

aws s3 cp {_SAMPLE} s3://{deployment.audio_bucket}/incoming/jfk.mp3
aws s3 ls --recursive s3://{deployment.transcripts_bucket}/transcripts/
aws s3 cp s3://{deployment.transcripts_bucket}/transcripts/jfk.mp3.srt -

With boto3 ({sys.executable}):

import boto3
s3 = boto3.client("s3")
s3.upload_file("{_SAMPLE}", "{deployment.audio_bucket}", "incoming/jfk.mp3")
# a few seconds later; a recording that cannot be transcribed gives errors/<name>.error.json instead
print(s3.get_object(Bucket="{deployment.transcripts_bucket}", Key="transcripts/jfk.mp3.txt")["Body"].read().decode())

At once, with the real-time endpoint:

runtime = boto3.client("sagemaker-runtime")
body = open("{_SAMPLE}", "rb").read()
answer = runtime.invoke_endpoint(EndpointName="{deployment.realtime_endpoint_name}", Body=body, ContentType="audio/mpeg")
print(answer["Body"].read().decode())

Operators' commands, from {PROJECT}:

{sys.executable} -m operations status incoming/jfk.mp3 --env local

Announcements: {deployment.announcements_topic}

Logs, in {aws.surroundings.logs}:

embedded-aws.log, cdk.log, model_build.log; functions/ and endpoints/ hold one for each

Ctrl-C ends it and everything in it.
"""


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    """Ends like Ctrl-C, once: clean-up must not be interrupted in its turn."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _forget_the_world_outside() -> None:
    """A profile or a proxy that a user has set for the real AWS must not come between us and the embedded one."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "localhost", "127.0.0.1"]))


@contextmanager
def _ending_well() -> Iterator[None]:
    """Turns an interrupt and what a user can cause into a sentence and an exit code."""
    _forget_the_world_outside()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        console.print("\nInterrupted; nothing is left running.")
        raise typer.Exit(130) from interrupt
    except _EXPECTED as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    app()
