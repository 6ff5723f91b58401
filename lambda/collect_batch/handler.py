"""Events of the batch's state machine in; ended jobs, work for the asynchronous pipeline and a report out."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from botocore.config import Config

from batch_runs.run import Run
from batch_runs.run_rows import RunRows
from collect_batch.collecting import THREADS, Collecting
from collect_batch.leftovers import Leftovers
from collect_batch.outputs import Outcome, Outputs
from collect_batch.report import Reporting
from collect_batch.settings import Settings
from transcription_jobs.endpoint_output import EndpointOutput
from transcription_jobs.job_table import JobTable
from transcription_jobs.outbox import Outbox
from transcription_jobs.result_objects import ResultObjects
from whisperstack_contract import metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service="collect_batch")

# Left for the part that is begun when a function's time is up.
_RESERVE_MILLISECONDS: Final = 120_000

_METRICS: Final = {
    Outcome.SUCCEEDED: metrics.JOBS_SUCCEEDED,
    Outcome.PARTIAL: metrics.JOBS_SUCCEEDED,
    Outcome.FAILED: metrics.JOBS_FAILED,
    Outcome.AGAIN: metrics.JOBS_RETRIED,
}


@dataclass(frozen=True)
class Room:
    """What the function works with, made once in each environment of it."""

    collecting: Collecting
    leftovers: Leftovers
    reporting: Reporting


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Raises RunTakenOverError where another execution works on the batch by now."""
    run = Run(event["prefix"], event["execution"])
    logger.append_keys(batch=run.token)
    if event["action"] == "collect":
        return _collect(run, event, context)
    if event["action"] == "leftovers":
        after, sent = room().leftovers.go_on(run, event["cursor"] or "", lambda: _in_time(context))
        logger.info("leftovers handed on", sent=sent, finished=after is None)
        return {"cursor": after, "sent": sent}
    if event["action"] == "report":
        summary = room().reporting.report(run, event["started_at"])
        logger.info("batch reported", counts=summary["counts"])
        return summary
    raise ValueError(f"action is {event['action']!r}; this function knows 'collect', 'leftovers' and 'report'")


@cache
def room() -> Room:
    settings = Settings.from_environment(os.environ)
    pools = Config(max_pool_connections=THREADS)
    s3, sns = boto3.client("s3", config=pools), boto3.client("sns", config=pools)
    jobs = JobTable(boto3.client("dynamodb", config=pools), settings.job_table, settings.times)
    runs = RunRows(jobs)
    outbox = Outbox(jobs, ResultObjects(s3, settings.transcripts_bucket), sns, settings.announcements_topic)
    outputs = Outputs(
        jobs,
        EndpointOutput(s3, settings.transcripts_bucket),
        outbox,
        settings.instances,
        settings.transcripts_bucket,
        leftovers=settings.intake_queue is not None,
    )
    return Room(
        Collecting(outputs, jobs, runs, s3, boto3.client("sagemaker"), settings.audio_bucket),
        Leftovers(jobs, runs, s3, boto3.client("sqs"), settings.audio_bucket, settings.intake_queue),
        Reporting(
            jobs,
            runs,
            s3,
            sns,
            settings.instances,
            settings.audio_bucket,
            settings.transcripts_bucket,
            settings.reports_topic,
        ),
    )


def _collect(run: Run, event: Mapping[str, Any], context: "LambdaContext") -> dict[str, Any]:
    cursor, counts = room().collecting.go_on(run, event["shard"], event["cursor"] or 0, lambda: _in_time(context))
    logger.info("shard collected", shard=event["shard"]["shard"], counts=dict(counts), finished=cursor is None)
    for outcome, name in _METRICS.items():
        if count := counts[outcome]:
            with single_metric(name=name, unit=MetricUnit.Count, value=count, namespace=metrics.NAMESPACE):
                pass
    return {"cursor": cursor, "collected": dict(counts)}


def _in_time(context: "LambdaContext") -> bool:
    return context.get_remaining_time_in_millis() > _RESERVE_MILLISECONDS
