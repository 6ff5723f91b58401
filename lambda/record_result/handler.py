"""SQS messages with the asynchronous endpoint's notifications in, ended jobs out."""

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from record_result.notification import Deletion, EndpointTest, ForeignResult, parse_notification
from record_result.ownership import Ownership
from record_result.recording import Outcome, Recording
from record_result.settings import Settings
from transcription_jobs.admission import Admission
from transcription_jobs.deliveries import process_deliveries
from transcription_jobs.endpoint_output import EndpointOutput
from transcription_jobs.job_table import JobTable
from transcription_jobs.outbox import Outbox
from transcription_jobs.result_objects import ResultObjects
from whisperstack_contract import metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service="record_result")

_METRICS: Final = {
    Outcome.SUCCEEDED: metrics.JOBS_SUCCEEDED,
    Outcome.PARTIAL: metrics.JOBS_SUCCEEDED,
    Outcome.FAILED: metrics.JOBS_FAILED,
    Outcome.RETRIED: metrics.JOBS_RETRIED,
}


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> "PartialItemFailureResponse":
    return process_deliveries(event, context, _handle, logger)


@dataclass(frozen=True)
class Room:
    """What the function works with, made once in each environment of it."""

    recording: Recording
    ownership: Ownership


@cache
def room() -> Room:
    settings = Settings.from_environment(os.environ)
    s3 = boto3.client("s3")
    jobs = JobTable(boto3.client("dynamodb"), settings.job_table, settings.times)
    objects = ResultObjects(s3, settings.transcripts_bucket)
    outbox = Outbox(jobs, objects, boto3.client("sns"), settings.announcements_topic)
    admission = Admission(jobs.rows, settings.times, settings.slots)
    output = EndpointOutput(s3, settings.transcripts_bucket)
    return Room(Recording(jobs, admission, output, outbox, settings.instances), Ownership(jobs, objects, settings.audio_bucket))


def _handle(body: str) -> None:
    notification = parse_notification(body)
    if isinstance(notification, EndpointTest):
        logger.info("test message of the endpoint acknowledged")
        _count(metrics.ENDPOINT_TEST_MESSAGES)
        return
    if isinstance(notification, ForeignResult):
        logger.warning("result of a request that is not ours acknowledged")
        _count(metrics.FOREIGN_RESULTS)
        return
    if isinstance(notification, Deletion):
        owner = room().ownership.settle(notification)
        logger.info("deletion handled", owner=owner)
        return
    logger.append_keys(job_id=notification.job_id)
    outcome = room().recording.record(notification)
    logger.info("result handled", outcome=outcome, attempt=notification.attempt)
    if name := _METRICS.get(outcome):
        _count(name)


def _count(name: str) -> None:
    with single_metric(name=name, unit=MetricUnit.Count, value=1, namespace=metrics.NAMESPACE):
        pass
