"""Jobs as an operator reads them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import typer

from transcription_jobs.job import Job
from whisperstack_contract.receipt import CostReceipt


def counted(count: int, one: str, more: str | None = None) -> str:
    """'1 row', '2 rows'. more: where it is not `one` with an s."""
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"


def show_jobs(jobs: Sequence[Job]) -> None:
    """One block of `name value` lines for each job, an empty line between two."""
    typer.echo("\n\n".join("\n".join(f"{name:<12} {value}" for name, value in _facts(job)) for job in jobs))


def line_of(job: Job) -> str:
    """Id, time of creation, the error's code or when someone looks after the job, key."""
    if job.ending:
        told = job.ending.error.code if job.ending.error else "-"
    else:
        told = "-" if job.deadline is None else _time(job.deadline)
    return f"{job.job_id} {job.created_at} {told} {job.source.key}"


def _facts(job: Job) -> Iterator[tuple[str, object]]:
    yield "job", job.job_id
    yield "state", job.state
    yield "key", job.source.key
    yield "version", job.source.version_id
    yield "bytes", job.size_bytes
    yield "options", job.options
    yield "created", job.created_at
    if job.batch is not None:
        yield "batch", job.batch
    yield "attempt", f"{job.attempt} ({job.failures} failed, {job.requeues} vanished)"
    if job.invoked_at:
        yield "invoked", job.invoked_at
    if job.deadline is not None:
        yield "deadline", f"{_time(job.deadline)}, when the reconciler looks after it"
    if job.lost_at is not None and not job.ending:
        yield "vanishes", f"{_time(job.lost_at)}, when an attempt without an answer counts as vanished"
    if job.ending:
        if job.ending.error:
            yield "error", f"{job.ending.error.code}: {job.ending.error.message}"
        for output in job.ending.outputs.values():
            yield "output", output
        if job.ending.receipt:
            yield from _costs(job.ending.receipt)
        yield "announced", job.announced_at or "not yet"


def _costs(receipt: CostReceipt) -> Iterator[tuple[str, object]]:
    yield "audio", f"{receipt.audio_seconds} s"
    yield "processing", f"{receipt.processing_seconds} s of {receipt.instance_type}"
    price = "no price is known" if receipt.usd is None else f"{receipt.usd:f} USD"
    yield "cost", f"{price}; prices of {receipt.prices_as_of}"


def _time(seconds: int) -> str:
    """seconds: since 1970. ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()
