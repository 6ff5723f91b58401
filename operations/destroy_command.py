"""The command `destroy`: shows what goes and what stays, asks for the environment's name, and takes it down."""

from typing import Annotated, Any, Final

import boto3
import typer
from rich.console import Console

from operations.errors import OperationsError, explained
from operations.showing import counted
from operations.teardown import DeployedStack, Teardown, find_stacks

_SERVICES: Final = ("cloudformation", "logs", "s3", "sagemaker", "stepfunctions")

_console = Console(stderr=True, highlight=False, soft_wrap=True)


def destroy_command(
    environment: Annotated[str, typer.Option("--env", help="The environment, such as dev.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take an environment down: endpoints, functions, queues, schedules, alarms; and its data, unless the environment keeps it.

    What is deployed decides, not what the settings say by now: storage that is protected from deletion, or whose resources are
    to be retained, stays in full, with every recording and transcript. All other stacks go, with the contents of their buckets.
    Jobs that run are ended. It can be repeated, and goes on where it was cut off. docs/operations.md has what stays and why.
    """
    with explained():
        account = boto3.client("sts").get_caller_identity()["Account"]
        make_client: Any = boto3.client
        clients = {service: make_client(service) for service in _SERVICES}
        teardown = Teardown(environment, find_stacks(clients["cloudformation"], environment), clients)
        _announce(teardown, f"account {account}, {boto3.Session().region_name}")
        if dry_run or not teardown.waves:
            return
        if not yes:
            _ask(environment)
        try:
            _take_down(teardown)
        except KeyboardInterrupt as error:
            _console.print("Stopped waiting. CloudFormation goes on with what it has begun; run this again for the rest.")
            raise typer.Exit(130) from error


def _announce(teardown: Teardown, where: str) -> None:
    _console.print(f"{teardown.environment} in {where}:", markup=False)
    for wave in teardown.waves:
        for stack in wave:
            buckets = len(teardown.buckets(stack))
            contents = f", with everything in its {counted(buckets, 'bucket')}" if buckets else ""
            if not stack.template:
                contents = ", which has nothing in it"
            _console.print(f"  goes   {stack.name}{contents}", markup=False)
    for stack in teardown.kept:
        _console.print(f"  stays  {stack.name}: {_why(stack)}", markup=False)


def _why(stack: DeployedStack) -> str:
    reasons = ["it is protected from deletion"] if stack.protected else []
    if stack.retained:
        reasons.append(f"it retains {', '.join(kind.rpartition('::')[2] for kind in stack.retained)}")
    return " and ".join(reasons)


def _ask(environment: str) -> None:
    """Raises OperationsError for another answer than the environment's name."""
    answer = typer.prompt("Nothing brings it back. Type the environment's name to go on", err=True)
    if answer != environment:
        raise OperationsError(f"{answer!r} is not {environment!r}; nothing was done")


def _take_down(teardown: Teardown) -> None:
    with _console.status("Ending batches") as status:
        if stopped := teardown.stop_batches():
            _console.print(f"{counted(stopped, 'execution or transform job', 'executions and transform jobs')} ended.")
        for wave in teardown.waves:
            names = ", ".join(stack.name for stack in wave)
            status.update(f"Deleting {names}")
            removed = 0
            for count in teardown.delete_with_contents(wave):
                removed += count
                status.update(f"Deleting {names}: {counted(removed, 'object version')} removed")
            _console.print(
                f"Deleted {names}" + (f", with {counted(removed, 'object version')}." if removed else "."), markup=False
            )
        teardown.delete_container_logs()
    if teardown.kept:
        _console.print(
            f"{', '.join(stack.name for stack in teardown.kept)} stays, and costs what docs/costs.md says.", markup=False
        )
    else:
        _console.print(f"Nothing of {teardown.environment} is left that costs money.", markup=False)
