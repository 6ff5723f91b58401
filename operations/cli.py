"""The command line: reads what was asked for, and hands it to those who do it."""

from typing import Annotated

import boto3
import typer

from operations.batch_command import app as batch_commands
from operations.dead_letters import DeadLetters, redrive_dead_letters
from operations.deployment import Deployment
from operations.destroy_command import destroy_command
from operations.erase_command import erase_command
from operations.errors import OperationsError, explained
from operations.finding import find_jobs
from operations.redriving import cancel, jobs_that_ended, redrive
from operations.showing import show_jobs
from whisperstack_contract.jobs import END_STATES, JobState

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
    """Show a job, or the jobs of every version of an upload, newest first."""
    with explained():
        deployment = Deployment.find(environment)
        show_jobs(find_jobs(subject, deployment, boto3.client("s3")))


app.command("erase")(erase_command)
app.command("destroy")(destroy_command)
app.add_typer(batch_commands, name="batch")


DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
StateOption = Annotated[JobState, typer.Option("--state", help="How the jobs ended.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="At most this many, the latest first.")]


@app.command("list")
def list_jobs(state: StateOption, environment: EnvironmentOption = "dev", limit: LimitOption = 50) -> None:
    """List jobs by how they ended, the latest first."""
    with explained():
        for job in jobs_that_ended(Deployment.find(environment), _end_state(state), limit):
            code = job.ending.error.code if job.ending and job.ending.error else "-"
            typer.echo(f"{job.job_id} {job.created_at} {code} {job.source.key}")


@app.command("redrive")
def redrive_jobs(
    subject: Annotated[str | None, typer.Argument(metavar="JOB|KEY", help="A job's id, or the key of an upload.")] = None,
    state: Annotated[JobState | None, typer.Option("--state", help="Every job that ended so, instead of one.")] = None,
    dead_letters: Annotated[
        DeadLetters | None, typer.Option("--dead-letters", help="Every message in a queue of dead letters, instead of jobs.")
    ] = None,
    environment: EnvironmentOption = "dev",
    limit: LimitOption = 50,
    dry_run: DryRunOption = False,
) -> None:
    """Send jobs again that ended without a transcript, or messages that could not be handled."""
    with explained():
        if sum(choice is not None for choice in (subject, state, dead_letters)) != 1:
            raise OperationsError("name a job or a key, a state with --state, or a queue with --dead-letters; one of them")
        if dead_letters is not None:
            for done in redrive_dead_letters(environment, dead_letters, dry_run=dry_run):
                typer.echo(done)
            return
        deployment = Deployment.find(environment)
        if subject is not None:
            jobs = find_jobs(subject, deployment, boto3.client("s3"))
        else:
            jobs = list(jobs_that_ended(deployment, _end_state(state), limit))
        for job in jobs:
            typer.echo(f"{job.job_id} {redrive(deployment, job, dry_run=dry_run)}")


@app.command("cancel")
def cancel_jobs(subject: SubjectArgument, environment: EnvironmentOption = "dev", dry_run: DryRunOption = False) -> None:
    """End jobs that have not ended. What the endpoint has begun runs on, and its transcript is not published."""
    with explained():
        deployment = Deployment.find(environment)
        for job in find_jobs(subject, deployment, boto3.client("s3")):
            typer.echo(f"{job.job_id} {cancel(deployment, job, dry_run=dry_run)}")


def _end_state(state: JobState | None) -> JobState:
    if state is None or not state.is_end:
        raise OperationsError(f"{state} is no end; choose one of: {', '.join(sorted(END_STATES))}")
    return state
