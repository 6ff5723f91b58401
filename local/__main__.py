"""`python -m local`: the demo, and an embedded AWS that keeps running."""

import signal
import sys
import threading
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from local.commands import CommandError
from local.demo import AlreadyRunningError, deployed, run_demo
from local.deployment import Deployment, DeploymentError
from local.deployment_check import MissingResourcesError
from local.embedded_aws import PROJECT, EmbeddedAws, EmbeddedAwsError
from local.recordings import NoRecordingsError, find_recordings, split_paths
from local.stages import Stages
from local.transcription import PipelineStuckError, log_files

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Whisperstack in an embedded AWS, on this machine.")
console = Console()

_EXPECTED = (
    AlreadyRunningError,
    CommandError,
    DeploymentError,
    EmbeddedAwsError,
    MissingResourcesError,
    NoRecordingsError,
    PipelineStuckError,
)
_SAMPLE = PROJECT / "samples" / "jfk.mp3"


@app.command()
def demo(
    audio: Annotated[list[str] | None, typer.Argument(help="Recordings, or folders of recordings.")] = None,
    audio_line: Annotated[str, typer.Option("--audio", help="The same as one line of text, quoted as in a shell.")] = "",
) -> None:
    """Deploy to a fresh embedded AWS, transcribe, print the results, leave nothing running."""
    paths = [*(audio or []), *(split_paths(audio_line) if audio_line.strip() else [])]
    sys.exit(0 if run_demo(find_recordings(paths or [str(_SAMPLE)]), console) else 1)


@app.command()
def up(port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the embedded AWS.")] = 4566) -> None:
    """Deploy to a fresh embedded AWS and keep it running until Ctrl-C."""
    stages = Stages(console)
    with deployed("up", stages, port) as (aws, deployment):
        stages.print_times()
        print(_instructions(aws, deployment))  # noqa: T201  # plain, so that it can be copied as it stands
        threading.Event().wait()


def _instructions(aws: EmbeddedAws, deployment: Deployment) -> str:
    settings = "\n".join(f"export {name}={value}" for name, value in aws.surroundings.credentials.items())
    logs = "\n".join(f"  {path}" for path in log_files(aws.surroundings.logs))
    return f"""
The embedded AWS runs at {aws.endpoint_url}. In another terminal:

{settings}

With the AWS CLI:

aws s3 cp recording.mp3 s3://{deployment.audio_bucket}/incoming/recording.mp3
aws s3 ls --recursive s3://{deployment.transcripts_bucket}/transcripts/
aws s3 cp s3://{deployment.transcripts_bucket}/transcripts/recording.mp3.srt -

With boto3 ({sys.executable}):

import boto3
s3 = boto3.client("s3")
s3.upload_file("recording.mp3", "{deployment.audio_bucket}", "incoming/recording.mp3")
# a few seconds later; a recording that cannot be transcribed gives errors/recording.mp3.error.json instead
print(s3.get_object(Bucket="{deployment.transcripts_bucket}", Key="transcripts/recording.mp3.txt")["Body"].read().decode())

Logs:
{logs}

Ctrl-C ends it and everything in it.
"""


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    """Ends like Ctrl-C, once: clean-up must not be interrupted in its turn."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        app(standalone_mode=False)
    except KeyboardInterrupt:
        console.print("\nInterrupted; nothing is left running.")
        sys.exit(130)
    except typer.Exit as end:
        sys.exit(end.exit_code)
    except _EXPECTED as error:
        console.print(f"[red]{escape(str(error))}[/red]", highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
