"""A schedule or a state change of the endpoint in, a verdict on what it serves out."""

import os
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from botocore.config import Config

from transcribe_canary.canary import Canary, Verdict
from transcribe_canary.settings import Settings
from whisperstack_contract import metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

SERVICE: Final = "transcribe_canary"

_SCHEDULED: Final = "Scheduled Event"
# A real-time endpoint has a minute.
_READ_TIMEOUT_SECONDS: Final = 70
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
    # It asks again itself, where that makes sense, and each time counts as an invocation.
    once = Config(retries={"total_max_attempts": 1}, read_timeout=_READ_TIMEOUT_SECONDS)
    return Canary(settings, clients("sagemaker"), clients("sagemaker-runtime", config=once), clients("s3"))
