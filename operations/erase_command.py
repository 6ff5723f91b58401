"""The command `erase`: shows what is kept of an upload, asks, removes it, and prints the receipt."""

from pathlib import Path
from typing import Annotated, Any

import boto3
import typer
from rich.console import Console
from rich.progress import Progress

from operations.deployment import Deployment
from operations.erasing import Receipt, erase, receipt, refuse_unfinished
from operations.errors import OperationsError, explained
from operations.holdings import Holdings, find_holdings
from whisperstack_contract.keys import UPLOAD_PREFIXES

# The receipt alone goes to standard output.
_console = Console(stderr=True, highlight=False, soft_wrap=True)


def erase_command(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key of an upload: incoming/… or batch/…")],
    environment: Annotated[str, typer.Option("--env", help="The environment, such as dev.")] = "dev",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    receipt_file: Annotated[
        Path | None, typer.Option("--receipt", dir_okay=False, help="Where the receipt goes, rather than to standard output.")
    ] = None,
) -> None:
    """Remove for good every version of an upload and all that came of it; prints a receipt.

    Removed are the recording, its staged copies, the endpoint's output, transcripts, error documents and rows of the job table,
    all versions of each. Nothing brings them back, but backups hold some of it for a while: see docs/security.md. It can be
    repeated, and reads the whole job table, so it may take minutes where that is large.
    """
    with explained():
        if not key.startswith(UPLOAD_PREFIXES) or key in UPLOAD_PREFIXES:
            raise OperationsError(f"{key!r} is not the key of an upload; give one below one of {', '.join(UPLOAD_PREFIXES)}")
        # Found out first: nothing may be removed that no receipt could name.
        if receipt_file:
            _require_writable(receipt_file)
        by = str(boto3.client("sts").get_caller_identity()["Arn"])
        deployment = Deployment.find(environment)
        s3, dynamodb = boto3.client("s3"), boto3.client("dynamodb")
        with _console.status("Reading the job table") as status:
            holdings = find_holdings(
                deployment, key, s3, dynamodb, lambda rows: status.update(f"Reading the job table: {rows:,} rows")
            )
        refuse_unfinished(holdings, key)
        done = receipt(holdings, deployment, key, dynamodb, by=by, dry_run=dry_run)
        _announce(done, holdings)
        if not dry_run and (holdings.objects or holdings.rows):
            if not yes:
                typer.confirm("Remove all of it for good?", abort=True, err=True)
            _remove(holdings, deployment, s3, dynamodb)
        _hand_over(done, receipt_file)


def _require_writable(path: Path) -> None:
    try:
        path.touch()
    except OSError as error:
        raise OperationsError(f"the receipt cannot be written to {path} ({error.strerror}); name another --receipt") from error


def _announce(done: Receipt, holdings: Holdings) -> None:
    would = "would be" if done.dry_run else "are to be"
    counted = f"{len(done.objects)} object versions and {len(done.rows)} rows"
    _console.print(f"{counted} of {done.key!r} in {done.environment} {would} removed.", markup=False)
    if holdings.without_row:
        _console.print(
            f"{len(holdings.without_row)} versions have no job. If they were uploaded within the last minutes, run this once "
            "more afterwards: their job may be about to begin.",
            markup=False,
        )


def _remove(holdings: Holdings, deployment: Deployment, s3: Any, dynamodb: Any) -> None:
    with Progress(console=_console, transient=True) as progress:
        task = progress.add_task("Removing", total=len(holdings.objects) + len(holdings.rows))
        erase(holdings, deployment, s3, dynamodb, lambda count: progress.advance(task, count))


def _hand_over(done: Receipt, path: Path | None) -> None:
    if path is None:
        typer.echo(done.to_json())
        return
    path.write_text(done.to_json() + "\n", encoding="utf-8")
    _console.print(f"The receipt is in {path}.", markup=False)
