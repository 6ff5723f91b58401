"""Graphs of a dashboard: three or two in a row, from zero up."""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from infra.constructs.cost_guard import CostGuard
from whisperstack_contract import metrics

HALF, THIRD, _HEIGHT = 12, 8, 6


def graph(title: str, shown: Sequence[cloudwatch.IMetric], width: int = THIRD) -> cloudwatch.GraphWidget:
    axis = cloudwatch.YAxisProps(min=0)
    return cloudwatch.GraphWidget(title=title, left=[*shown], width=width, height=_HEIGHT, left_y_axis=axis)


def cost_graph(guard: CostGuard, price: float | None) -> cloudwatch.GraphWidget:
    """price: USD per instance hour; None shows the hours."""
    hours = guard.metric(metrics.INSTANCE_HOURS_TODAY, "Maximum")
    if price is None:
        return graph("Instance hours since midnight UTC", [hours])
    cost = cloudwatch.MathExpression(
        expression=f"hours * {price:g}", using_metrics={"hours": hours}, label="USD", period=Duration.minutes(5)
    )
    return graph(f"Instances since midnight UTC, USD (estimate at {price:g} an hour)", [cost])
