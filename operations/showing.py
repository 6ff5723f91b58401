"""Jobs as an operator reads them."""

from collections.abc import Iterator, Sequence

import typer

from transcription_jobs.job import Job


def counted(count: int, one: str, more: str | None = None) -> str:
    """'1 row', '2 rows'. more: where it is not `one` with an s."""
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"


def show_jobs(jobs: Sequence[Job]) -> None:
    """One block of `name value` lines for each job, an empty line between two."""
    typer.echo("\n\n".join("\n".join(f"{name:<12} {value}" for name, value in _facts(job)) for job in jobs))


def _facts(job: Job) -> Iterator[tuple[str, object]]:
    yield "job", job.job_id
    yield "state", job.state
    yield "key", job.source.key
    yield "version", job.source.version_id
    yield "bytes", job.size_bytes
    yield "created", job.created_at
    if job.batch is not None:
        yield "batch", job.batch
    yield "attempt", job.attempt
    if job.invoked_at:
        yield "invoked", job.invoked_at
    if job.ending:
        if job.ending.error:
            yield "error", f"{job.ending.error.code}: {job.ending.error.message}"
        for output in job.ending.outputs.values():
            yield "output", output
        yield "announced", job.announced_at or "not yet"
