"""SQS messages with EventBridge events of uploads in, requests to the asynchronous endpoint out."""

import os
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from submit_transcription.settings import Settings
from submit_transcription.submission import Outcome, Submission
from submit_transcription.upload import Turn, parse_message
from transcription_jobs.admission import Admission
from transcription_jobs.deliveries import process_deliveries
from transcription_jobs.job_table import JobTable
from transcription_jobs.outbox import Outbox
from transcription_jobs.result_objects import ResultObjects
from whisperstack_contract import metrics
from whisperstack_contract.jobs import job_id

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service="submit_transcription")

_METRICS: Final = {
    Outcome.SUBMITTED: metrics.JOBS_SUBMITTED,
    Outcome.REJECTED: metrics.JOBS_REJECTED,
    Outcome.POSTPONED: metrics.JOBS_POSTPONED,
    Outcome.EXPIRED: metrics.JOBS_EXPIRED,
}


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> "PartialItemFailureResponse":
    return process_deliveries(event, context, _handle, logger)


@cache
def submission() -> Submission:
    settings = Settings.from_environment(os.environ)
    s3 = boto3.client("s3")
    jobs = JobTable(boto3.client("dynamodb"), settings.job_table, settings.times)
    objects = ResultObjects(s3, settings.transcripts_bucket)
    outbox = Outbox(jobs, objects, boto3.client("sns"), settings.announcements_topic)
    admission = Admission(jobs.rows, settings.times, settings.slots)
    return Submission(settings, jobs, admission, outbox, s3, boto3.client("sagemaker-runtime"))


def _handle(body: str) -> None:
    message = parse_message(body)
    if isinstance(message, Turn):
        logger.append_keys(job_id=message.job_id)
        outcome = submission().take_turn(message)
    else:
        logger.append_keys(job_id=job_id(message.source))
        outcome = submission().submit(message)
    logger.info("message handled", outcome=outcome)
    if name := _METRICS.get(outcome):
        with single_metric(name=name, unit=MetricUnit.Count, value=1, namespace=metrics.NAMESPACE):
            pass
