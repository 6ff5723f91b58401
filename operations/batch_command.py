"""The commands `batch start`, `batch status` and `batch stop`."""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Final

import boto3
import typer

from batch_runs.run import Run
from operations.deployment import Deployment, state_machine_of
from operations.errors import OperationsError, explained
from whisperstack_contract import keys
from whisperstack_contract.keys import BATCH_PREFIX, UPLOAD_PREFIXES

app = typer.Typer(help="Start, watch and stop batches.", no_args_is_help=True, rich_markup_mode=None)

_SHOWN: Final = 10
_EXECUTION_ARN: Final = re.compile(r"(?P<machine>arn:[\w-]+:states:[\w-]+:\d+:)execution:(?P<name>[^:]+):[^:]+")

FolderArgument = Annotated[str, typer.Argument(metavar="FOLDER", help="Of the recordings, such as batch/july/ or incoming/.")]
EnvironmentOption = Annotated[str, typer.Option("--env", help="The environment, such as dev.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


@app.command()
def start(folder: FolderArgument, environment: EnvironmentOption = "dev", dry_run: DryRunOption = False) -> None:
    """Transcribe every recording in a folder that has no transcript yet. While a run is at work on it, no other is started."""
    with explained():
        prefix = _prefix_of(folder)
        machine, states = state_machine_of(environment), boto3.client("stepfunctions")
        for execution, given in _running(states, machine):
            if _folder_of(given) == prefix:
                typer.echo(
                    f"left alone: {execution} is at work on {prefix}; recordings uploaded since it was planned are not in it; "
                    "start the folder again when it has ended"
                )
                return
        recordings = _recordings(environment, prefix)
        # One is enough to know that the name is right; all are counted only for those who ask.
        if next(recordings, None) is None:
            raise OperationsError(f"there is no recording below {prefix}; look at the name, or upload some first")
        if dry_run:
            count = 1 + sum(1 for _ in recordings)
            typer.echo(f"would be started: {prefix} on {machine}; it would look at {count:,} recordings")
            return
        answer = states.start_execution(stateMachineArn=machine, input=json.dumps({"prefix": prefix}))
        typer.echo(f"started: {answer['executionArn']}")


@app.command()
def status(
    subject: Annotated[
        str | None, typer.Argument(metavar="FOLDER|EXECUTION", help="One of them, rather than the latest.")
    ] = None,
    environment: EnvironmentOption = "dev",
) -> None:
    """Show the latest batches, or those of a folder, or one execution: where it is, and what came of it."""
    with explained():
        states = boto3.client("stepfunctions")
        if subject and _EXECUTION_ARN.fullmatch(subject):
            _show(states, subject, environment)
            return
        prefix = _prefix_of(subject) if subject else None
        shown = 0
        for execution in _executions(states, state_machine_of(environment)):
            given = json.loads(states.describe_execution(executionArn=execution)["input"])
            # What a marker's event begins only starts the execution that does the work.
            if "detail" in given or (prefix and _folder_of(given) != prefix):
                continue
            if shown:
                typer.echo()
            _show(states, execution, environment)
            shown += 1
            if shown == _SHOWN:
                return
        if not shown:
            typer.echo(f"no batch of {prefix} was found" if prefix else "no batch was found")


@app.command()
def stop(
    subject: Annotated[str, typer.Argument(metavar="FOLDER|EXECUTION", help="A folder, or the ARN of one execution.")],
    environment: EnvironmentOption = "dev",
    dry_run: DryRunOption = False,
) -> None:
    """Stop a batch. What is transcribed stays; starting the folder again goes on with what is missing."""
    with explained():
        states = boto3.client("stepfunctions")
        if _EXECUTION_ARN.fullmatch(subject):
            found = [subject] if _described(states, subject)["status"] == "RUNNING" else []
        else:
            prefix = _prefix_of(subject)
            running = _running(states, state_machine_of(environment))
            found = [execution for execution, given in running if _folder_of(given) == prefix]
        if not found:
            typer.echo(f"left alone: nothing is at work on {subject}")
        for execution in found:
            if dry_run:
                typer.echo(f"would be stopped: {execution}")
                continue
            states.stop_execution(executionArn=execution, error="Batch.Stopped", cause="an operator has stopped the batch")
            typer.echo(f"stopped: {execution}")


def _prefix_of(folder: str) -> str:
    """With a / at its end. Raises OperationsError for what is no folder of uploads."""
    prefix = folder if folder.endswith("/") else f"{folder}/"
    if not prefix.startswith(UPLOAD_PREFIXES) or prefix == BATCH_PREFIX:
        raise OperationsError(
            f"{folder!r} is no folder of uploads; give one below {BATCH_PREFIX}, such as {BATCH_PREFIX}july/, or incoming/"
        )
    return prefix


def _recordings(environment: str, prefix: str) -> Iterator[str]:
    """The keys of what a run would look at, with and without a transcript."""
    bucket = Deployment.find(environment).audio_bucket
    for page in boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            if keys.is_batch_recording(entry["Key"], entry["Size"]):
                yield entry["Key"]


def _folder_of(given: dict[str, Any]) -> str:
    """Of an execution, from its input."""
    return str(given.get("prefix") or given.get("start_key", "").rpartition("/")[0] + "/")


def _executions(states: Any, machine: str, **wanted: str) -> Any:
    pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine, **wanted)
    return (each["executionArn"] for page in pages for each in page["executions"])


def _running(states: Any, machine: str) -> Any:
    """(ARN, input) of each."""
    for execution in _executions(states, machine, statusFilter="RUNNING"):
        yield execution, json.loads(states.describe_execution(executionArn=execution)["input"])


def _show(states: Any, execution: str, environment: str) -> None:
    """Lines of `name value`."""
    described = _described(states, execution)
    facts: dict[str, object] = {
        "execution": execution,
        "folder": _folder_of(json.loads(described["input"])),
        "status": described["status"].lower(),
        "started": described["startDate"].isoformat(timespec="seconds"),
    }
    if described["status"] == "RUNNING":
        facts["state"] = _state(states, execution)
    else:
        facts["ended"] = described["stopDate"].isoformat(timespec="seconds")
    if described.get("error"):
        facts["error"] = f"{described['error']}: {described.get('cause', '')}"
    if described.get("output"):
        facts |= _outcome(json.loads(described["output"]))
    elif described["status"] != "RUNNING":
        facts |= _report_of(Run(str(facts["folder"]), execution), environment)
    typer.echo("\n".join(f"{name:<12} {value}" for name, value in facts.items()))


def _outcome(output: dict[str, Any]) -> dict[str, object]:
    """Of a run's own summary; an execution that only started another has none."""
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in output.get("counts", {}).items() if count)
    reports = {
        f"report {name}": f"s3://{output['transcripts_bucket']}/{key}" for name, key in output.get("reports", {}).items()
    }
    price = {} if output.get("usd") is None else {"usd": output["usd"]}
    outcome = {"outcome": output["state"].replace("_", " ")} if "state" in output else {}
    return {**outcome, "recordings": f"{output['recordings']} ({counts})", **price, **reports} if counts or reports else {}


def _described(states: Any, execution: str) -> dict[str, Any]:
    """Raises OperationsError where there is no such execution."""
    try:
        return dict(states.describe_execution(executionArn=execution))
    except states.exceptions.ExecutionDoesNotExist as error:
        raise OperationsError(
            f"there is no execution {execution} (any more: they are kept for 90 days); name the folder instead"
        ) from error


def _report_of(run: Run, environment: str) -> dict[str, object]:
    """Of a run that has no output, since it failed in the end: it may have written its report before."""
    try:
        bucket = Deployment.find(environment).transcripts_bucket
    except OperationsError:
        # An execution that was named by its ARN may be another environment's.
        return {}
    s3, suffixes = boto3.client("s3"), keys.BATCH_REPORT_SUFFIXES
    reports = {f"report {suffix}": keys.batch_report_key(run.prefix, run.token, suffix) for suffix in suffixes}
    return {name: f"s3://{bucket}/{key}" for name, key in reports.items() if _is_there(s3, bucket, key)}


def _is_there(s3: Any, bucket: str, key: str) -> bool:
    return any(each["Key"] == key for each in s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", []))


def _state(states: Any, execution: str) -> str:
    """The one that it has entered last, among its latest events."""
    events = states.get_execution_history(executionArn=execution, reverseOrder=True)["events"]
    entered = [event for event in events if "stateEnteredEventDetails" in event]
    return str(max(entered, key=lambda event: event["id"])["stateEnteredEventDetails"]["name"]) if entered else "its first"
