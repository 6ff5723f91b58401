"""The command line: reads what was asked for, and hands it to those who do it."""

from itertools import islice
from typing import Annotated, Final

import boto3
import typer

from operations.batch_command import app as batch_commands
from operations.dead_letters import DeadLetters, redrive_dead_letters
from operations.deployment import Deployment
from operations.destroy_command import destroy_command
from operations.erase_command import erase_command
from operations.errors import OperationsError, explained
from operations.finding import ended_jobs, find_jobs, unfinished_jobs
from operations.redriving import REDRIVABLE, cancel, redrive, redrive_state
from operations.showing import line_of, show_jobs
from whisperstack_contract.jobs import JobState

_LIMIT: Final = 50

app = typer.Typer(
    help="See what became of recordings, and do something about it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

EnvironmentOption = Annotated[str, typer.Option("--env", help="The environment, such as dev.")]
SubjectArgument = Annotated[
    str, typer.Argument(metavar="JOB|KEY", help="A job's id, or an upload's key: incoming/… or batch/…")
]


# With a callback, typer keeps the names of commands even while there is only one.
@app.callback()
def main() -> None:
    """See what became of recordings, and do something about it."""


@app.command()
def status(subject: SubjectArgument, environment: EnvironmentOption = "dev") -> None:
    """Show a job, or the jobs of every version of an upload, the newest version first, and of a version the last job."""
    with explained():
        deployment = Deployment.find(environment)
        show_jobs(find_jobs(subject, deployment, boto3.client("s3")))


app.command("erase")(erase_command)
app.command("destroy")(destroy_command)
app.add_typer(batch_commands, name="batch")


DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


@app.command("list")
def list_jobs(
    state: Annotated[JobState, typer.Option("--state", help="Where the jobs stand, or how they ended.")],
    environment: EnvironmentOption = "dev",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most this many.")] = _LIMIT,
) -> None:
    """List jobs in a state, one a line: id, time of creation, the error's code or -, key.

    What ended comes latest first. What waits comes most overdue first; in place of the code it has the time from when someone
    looks after it.
    """
    with explained():
        deployment = Deployment.find(environment)
        pages = ended_jobs(deployment, state) if state.is_end else unfinished_jobs(deployment, state)
        jobs = (job for page in pages for job in page)
        for job in islice(jobs, limit):
            typer.echo(line_of(job))
        if next(jobs, None):
            typer.echo(f"there are more; --limit is {limit}", err=True)


@app.command("redrive")
def redrive_jobs(
    subject: Annotated[str | None, typer.Argument(metavar="JOB|KEY", help="A job's id, or the key of an upload.")] = None,
    state: Annotated[
        JobState | None,
        typer.Option(
            "--state", help=f"Jobs that ended so ({', '.join(REDRIVABLE)}), the latest first, but those that were cancelled."
        ),
    ] = None,
    dead_letters: Annotated[
        DeadLetters | None, typer.Option("--dead-letters", help="Every message in a queue of dead letters, instead of jobs.")
    ] = None,
    environment: EnvironmentOption = "dev",
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help=f"With --state: send at most this many, by default {_LIMIT}, and count the rest."),
    ] = None,
    dry_run: DryRunOption = False,
) -> None:
    """Send jobs again that ended without a transcript, or messages that could not be handled.

    A job that is sent again stays as it is; the same upload gets another job, with an id, an end and an announcement of its
    own, which begins when the reconciler runs next: within five minutes, unless the environment says otherwise. A job is
    sent again once, however often it is asked. Cancelled jobs are sent again only by their id or key.
    """
    with explained():
        if sum(choice is not None for choice in (subject, state, dead_letters)) != 1:
            raise OperationsError("name a job or a key, a state with --state, or a queue with --dead-letters; one of them")
        if limit is not None and state is None:
            raise OperationsError(f"--limit {limit} is for --state; a key or a queue of dead letters is sent again as a whole")
        if dead_letters is not None:
            for done in redrive_dead_letters(environment, dead_letters, dry_run=dry_run):
                typer.echo(done)
            return
        deployment = Deployment.find(environment)
        if state is not None:
            for done in redrive_state(deployment, state, limit or _LIMIT, dry_run=dry_run):
                typer.echo(done)
            return
        for job in find_jobs(str(subject), deployment, boto3.client("s3")):
            typer.echo(f"{job.job_id} {redrive(deployment, job, dry_run=dry_run)}")


@app.command("cancel")
def cancel_jobs(subject: SubjectArgument, environment: EnvironmentOption = "dev", dry_run: DryRunOption = False) -> None:
    """End jobs that have not ended. What the endpoint has begun runs on, and its transcript is not published."""
    with explained():
        deployment = Deployment.find(environment)
        for job in find_jobs(subject, deployment, boto3.client("s3")):
            typer.echo(f"{job.job_id} {cancel(deployment, job, dry_run=dry_run)}")
