"""Events of the batch's state machine in; what it needs to go on, out. Each event names an action."""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from botocore.config import Config

from batch_runs.run import Run, prefix_of
from batch_runs.run_rows import RunRows
from plan_batch.paging import THREADS, Cursor, Paging
from plan_batch.recordings import Recordings, Verdict
from plan_batch.recovery import Recovery
from plan_batch.settings import Settings
from plan_batch.sharing import Sharing
from transcription_jobs.job_table import JobTable
from transcription_jobs.outbox import Outbox
from transcription_jobs.result_objects import ResultObjects
from whisperstack_contract import metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service="plan_batch")

# Left for the page that is begun when a function's time is up: a thousand copies, of recordings of any size.
_RESERVE_MILLISECONDS: Final = 150_000

_METRICS: Final = {Verdict.PLANNED: metrics.JOBS_SUBMITTED, Verdict.REJECTED: metrics.JOBS_REJECTED}


@dataclass(frozen=True)
class Room:
    """What the function works with, made once in each environment of it."""

    recovery: Recovery
    paging: Paging
    sharing: Sharing


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Raises BatchInputError for an execution that was started for no batch, RunTakenOverError where another has taken over."""
    if event["action"] == "recover":
        return _recover(event)
    run = Run(event["prefix"], event["execution"])
    logger.append_keys(batch=run.token)
    if event["action"] == "page":
        return _page(run, event, context)
    if event["action"] == "shard":
        return room().sharing.share_out(run, int(event["round"]))
    raise ValueError(f"action is {event['action']!r}; this function knows 'recover', 'page' and 'shard'")


@cache
def room() -> Room:
    settings = Settings.from_environment(os.environ)
    pools = Config(max_pool_connections=THREADS)
    s3, dynamodb = boto3.client("s3", config=pools), boto3.client("dynamodb", config=pools)
    jobs = JobTable(dynamodb, settings.job_table, settings.times)
    runs = RunRows(jobs)
    outbox = Outbox(jobs, ResultObjects(s3, settings.transcripts_bucket), boto3.client("sns"), settings.announcements_topic)
    return Room(
        Recovery(jobs, runs, s3, boto3.client("sagemaker"), boto3.client("stepfunctions"), settings.job_prefix),
        Paging(Recordings(settings, jobs, outbox, s3), jobs, runs, s3, settings.audio_bucket),
        Sharing(settings, runs, s3),
    )


def _recover(event: Mapping[str, Any]) -> dict[str, Any]:
    run = Run(prefix_of(event["input"]), event["execution"])
    found = room().recovery.recover(run, datetime.fromisoformat(event["started_at"]), int(event["poll_seconds"]))
    logger.info("batch claimed", batch=run.token, **found)
    return {**found, "prefix": run.prefix, "token": run.token}


def _page(run: Run, event: Mapping[str, Any], context: "LambdaContext") -> dict[str, Any]:
    def in_time() -> bool:
        return context.get_remaining_time_in_millis() > _RESERVE_MILLISECONDS

    before = Counter({str(verdict): int(event["found"].get(verdict, 0)) for verdict in Verdict})
    found = Counter(before)
    cursor = room().paging.go_on(run, Cursor(**(event["cursor"] or {})), found, in_time)
    logger.info("recordings planned", found=dict(found), finished=cursor is None)
    for verdict, name in _METRICS.items():
        if count := found[verdict] - before[verdict]:
            with single_metric(name=name, unit=MetricUnit.Count, value=count, namespace=metrics.NAMESPACE):
                pass
    return {"cursor": cursor._asdict() if cursor else None, "found": {verdict: found[verdict] for verdict in Verdict}}
