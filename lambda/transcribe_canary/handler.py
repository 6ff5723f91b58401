"""A schedule or a state change of the endpoint in, a verdict on what it serves out."""

import os
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from transcribe_canary.canary import Canary, Verdict
from transcribe_canary.settings import Settings
from whisperstack_contract import metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

SERVICE: Final = "transcribe_canary"

_SCHEDULED: Final = "Scheduled Event"
_METRICS: Final = {Verdict.PASSED: metrics.CANARIES_PASSED, Verdict.FAILED: metrics.CANARIES_FAILED}

logger = Logger(service=SERVICE)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], _context: "LambdaContext") -> str:
    verdict = canary().run(scheduled=event.get("detail-type") == _SCHEDULED)
    logger.info("canary", verdict=verdict)
    if name := _METRICS.get(verdict):
        dimensions = {"EndpointName": canary().settings.endpoint_name, "service": SERVICE}
        with single_metric(
            name=name, unit=MetricUnit.Count, value=1, namespace=metrics.NAMESPACE, default_dimensions=dimensions
        ):
            pass
    return verdict.value


@cache
def canary() -> Canary:
    clients: Any = boto3.client
    settings = Settings.from_environment(os.environ)
    return Canary(settings, clients("sagemaker"), clients("sagemaker-runtime"), clients("s3"))
