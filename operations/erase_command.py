"""The command `erase`: shows what is kept of an upload, asks, removes it, and prints the receipt."""

from collections.abc import Iterator
from contextlib import contextmanager
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
from operations.showing import counted
from whisperstack_contract.keys import UPLOAD_PREFIXES

# The receipt alone goes to standard output.
_console = Console(stderr=True, highlight=False, soft_wrap=True)


def erase_command(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key of an upload: incoming/… or batch/…")],
    environment: Annotated[str, typer.Option("--env", help="The environment, such as dev.")] = "dev",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    receipt_file: Annotated[
        Path | None, typer.Option("--receipt", dir_okay=False, help="A new file for the receipt, rather than standard output.")
    ] = None,
) -> None:
    """Remove for good every version of an upload and all that came of it; prints a receipt.

    Removed are the recording, its staged copies, the endpoint's output, transcripts, error documents and rows of the job table,
    all versions of each. Nothing brings them back, but backups hold some of it for a while: see docs/security.md. It can be
    repeated, and reads the whole job table, so it may take minutes where that is large.
    """
    with explained(), _kept_free(receipt_file):
        if not key.startswith(UPLOAD_PREFIXES) or key in UPLOAD_PREFIXES:
            raise OperationsError(f"{key!r} is not the key of an upload; give one below one of {', '.join(UPLOAD_PREFIXES)}")
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


@contextmanager
def _kept_free(path: Path | None) -> Iterator[None]:
    """Makes the receipt's file first, for nothing may be removed that no receipt could name; removes it if it stays empty.

    Raises OperationsError for a file that is there: it may be the only list of what an earlier run removed.
    """
    if path is None:
        yield
        return
    try:
        path.open("x").close()
    except FileExistsError as error:
        raise OperationsError(f"{path} exists, and may be an earlier receipt; name a new file with --receipt") from error
    except OSError as error:
        raise OperationsError(f"the receipt cannot be written to {path} ({error.strerror}); name another --receipt") from error
    try:
        yield
    finally:
        if path.is_file() and not path.stat().st_size:
            path.unlink()


def _announce(done: Receipt, holdings: Holdings) -> None:
    would = "would be" if done.dry_run else "are to be"
    found = f"{counted(len(done.objects), 'object version')} and {counted(len(done.rows), 'row')}"
    _console.print(f"{found} of {done.key!r} in {done.environment} {would} removed.", markup=False)
    if holdings.without_row:
        _console.print(
            f"{counted(len(holdings.without_row), 'version has', 'versions have')} no job. If uploaded within the last "
            "minutes, run this once more afterwards: a job may be about to begin.",
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
