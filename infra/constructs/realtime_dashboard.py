"""One page that says at a glance whether a real-time endpoint answers, how fast, how busy it is, and what it costs."""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.constructs.cost_guard import CostGuard
from infra.constructs.graphs import HALF, cost_graph, graph
from infra.constructs.realtime_endpoint import RealtimeEndpoint
from whisperstack_contract import metrics

_MINUTE = Duration.minutes(1)
_FIVE_MINUTES = Duration.minutes(5)


class RealtimeDashboard(Construct):
    """price: USD per instance hour, or None where it is not known. alarms: those whose state is shown."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint: RealtimeEndpoint,
        guard: CostGuard,
        alarms: Sequence[cloudwatch.IAlarm],
        price: float | None,
    ) -> None:
        super().__init__(scope, construct_id)

        def shown(name: str, statistic: str, period: Duration = _MINUTE) -> cloudwatch.Metric:
            return endpoint.metric(name, statistic, period, of_variant=True)

        def percentiles(name: str) -> list[cloudwatch.IMetric]:
            return [shown(name, statistic, _FIVE_MINUTES).with_(label=statistic) for statistic in ("p50", "p95")]

        cloudwatch.Dashboard(
            self,
            "Dashboard",
            widgets=[
                [cloudwatch.AlarmStatusWidget(alarms=[*alarms], title="Alarms", width=24, height=3)],
                [
                    graph("Requests", [shown("Invocations", "Sum")]),
                    graph("Refused and failed", [shown("Invocation4XXErrors", "Sum"), shown("Invocation5XXErrors", "Sum")]),
                    graph("Requests at a time, per model", [shown("ConcurrentRequestsPerModel", "Maximum")]),
                ],
                [
                    graph("In the model, microseconds", percentiles("ModelLatency"), width=HALF),
                    graph("Around the model, microseconds", percentiles("OverheadLatency"), width=HALF),
                ],
                [
                    graph("Instances", [guard.metric(metrics.INSTANCES, "Maximum")], width=HALF),
                    cost_graph(guard, price),
                ],
            ],
        )
