"""A schedule in, instance hours out."""

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from guard_cost.guard import CostGuard
from guard_cost.settings import Settings
from whisperstack_contract import metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

SERVICE = "guard_cost"

logger = Logger(service=SERVICE)


@logger.inject_lambda_context
def lambda_handler(_event: dict[str, Any], _context: "LambdaContext") -> None:
    usage = guard().measure()
    for name, value in (
        (metrics.INSTANCES, usage.instances),
        (metrics.INSTANCE_HOURS, usage.hours),
        (metrics.INSTANCE_HOURS_TODAY, usage.hours_today),
    ):
        _publish(name, value)
    reached = guard().enforce(usage)
    logger.info("instance hours", instances=usage.instances, hours_today=usage.hours_today, limit_reached=reached)


@cache
def guard() -> CostGuard:
    clients: Any = boto3.client
    return CostGuard(
        Settings.from_environment(os.environ),
        SERVICE,
        clients("sagemaker"),
        clients("cloudwatch"),
        clients("application-autoscaling"),
    )


def _publish(name: str, value: float) -> None:
    dimensions = {"EndpointName": guard().settings.endpoint_name, "service": SERVICE}
    with single_metric(
        name=name, unit=MetricUnit.Count, value=value, namespace=metrics.NAMESPACE, default_dimensions=dimensions
    ):
        pass
