"""A schedule in; what was lost, found."""

import os
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from batch_runs.run_rows import RunRows
from reconcile_jobs.answers import Answers
from reconcile_jobs.listing import Listing
from reconcile_jobs.settings import Settings
from reconcile_jobs.unfinished import Unfinished
from transcription_jobs.admission import Admission
from transcription_jobs.job_table import JobTable
from transcription_jobs.outbox import Outbox
from transcription_jobs.result_objects import ResultObjects
from whisperstack_contract import metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service="reconcile_jobs")

# Left for what is begun when a run's time is up.
_RESERVE_MILLISECONDS: Final = 20_000


@dataclass(frozen=True)
class Reconciliation:
    unfinished: Unfinished
    listing: Listing


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, int]:  # noqa: ARG001  # a schedule says nothing
    def in_time() -> bool:
        return context.get_remaining_time_in_millis() > _RESERVE_MILLISECONDS

    found: Counter[str] = Counter()
    try:
        reconciliation().unfinished.reconcile(found, in_time)
        reconciliation().listing.go_on(found, in_time)
    finally:
        logger.info("jobs reconciled", found=dict(found))
        for name, count in found.items():
            with single_metric(name=name, unit=MetricUnit.Count, value=count, namespace=metrics.NAMESPACE):
                pass
    return dict(found)


@cache
def reconciliation() -> Reconciliation:
    settings = Settings.from_environment(os.environ)
    s3, sqs = boto3.client("s3"), boto3.client("sqs")
    jobs = JobTable(boto3.client("dynamodb"), settings.job_table, settings.times)
    objects = ResultObjects(s3, settings.transcripts_bucket)
    unfinished = Unfinished(
        jobs,
        RunRows(jobs),
        Admission(jobs.rows, settings.times, settings.slots),
        Answers(s3, settings.transcripts_bucket),
        Outbox(jobs, objects, boto3.client("sns"), settings.announcements_topic),
        sqs,
        settings.intake_queue,
        settings.results_queue,
    )
    return Reconciliation(unfinished, Listing(jobs, s3, sqs, settings.audio_bucket, settings.intake_queue))
