"""The command line: reads what was asked for, and hands it to those who do it."""

from typing import Annotated

import boto3
import typer

from operations.deployment import Deployment
from operations.erase_command import erase_command
from operations.errors import explained
from operations.finding import find_jobs
from operations.showing import show_jobs

app = typer.Typer(
    help="See what became of recordings, and do something about it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

EnvironmentOption = Annotated[str, typer.Option("--env", help="The environment, such as dev.")]
SubjectArgument = Annotated[str, typer.Argument(metavar="JOB|KEY", help="A job's id, or the key of an upload: incoming/…")]


# With a callback, typer keeps the names of commands even while there is only one.
@app.callback()
def main() -> None:
    """See what became of recordings, and do something about it."""


@app.command()
def status(subject: SubjectArgument, environment: EnvironmentOption = "dev") -> None:
    """Show a job, or the jobs of every version of an upload, newest first."""
    with explained():
        deployment = Deployment.find(environment)
        show_jobs(find_jobs(subject, deployment, boto3.client("s3")))


app.command("erase")(erase_command)
