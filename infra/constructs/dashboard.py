"""One page that says at a glance whether recordings come through, what waits, what runs, and what it costs."""

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.async_endpoint import AsyncEndpoint
from infra.constructs.cost_guard import CostGuard
from infra.constructs.graphs import HALF, cost_graph, graph
from whisperstack_contract import metrics

_MINUTE = Duration.minutes(1)
_FIVE_MINUTES = Duration.minutes(5)

# Which function counts which end.
_JOBS = (
    ("submit_transcription", metrics.JOBS_SUBMITTED),
    ("record_result", metrics.JOBS_SUCCEEDED),
    ("record_result", metrics.JOBS_FAILED),
    ("submit_transcription", metrics.JOBS_REJECTED),
)


class Dashboard(Construct):
    """price: USD per instance hour, or None where it is not known. alarms: those whose state is shown."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint: AsyncEndpoint,
        guard: CostGuard,
        dead_letters: Mapping[str, sqs.IQueue],
        alarms: Sequence[cloudwatch.IAlarm],
        price: float | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._endpoint = endpoint
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            widgets=[
                [cloudwatch.AlarmStatusWidget(alarms=[*alarms], title="Alarms", width=24, height=3)],
                [
                    graph("Recordings queued or running", [endpoint.metric("ApproximateBacklogSize", "Maximum", _MINUTE)]),
                    graph("Instances", [guard.metric(metrics.INSTANCES, "Maximum")]),
                    graph("Age of the oldest, seconds", [endpoint.metric("ApproximateAgeOfOldestRequest", "Maximum", _MINUTE)]),
                ],
                [
                    graph("Jobs in five minutes", [_jobs(service, name) for service, name in _JOBS], width=HALF),
                    graph("Dead letters", [_depth(name, queue) for name, queue in dead_letters.items()], width=HALF),
                ],
                [
                    graph("In the model, milliseconds", self._percentiles("TotalProcessingTime")),
                    graph("In the queue, milliseconds", self._percentiles("TimeInBacklog")),
                    cost_graph(guard, price),
                ],
            ],
        )

    def _percentiles(self, name: str) -> list[cloudwatch.IMetric]:
        return [
            self._endpoint.metric(name, statistic, _FIVE_MINUTES, of_variant=True).with_(label=statistic)
            for statistic in ("p50", "p95")
        ]


def _jobs(service: str, name: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=metrics.NAMESPACE,
        metric_name=name,
        dimensions_map={"service": service},
        statistic="Sum",
        period=_FIVE_MINUTES,
        label=name.removeprefix("Jobs").lower(),
    )


def _depth(name: str, queue: sqs.IQueue) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/SQS",
        metric_name="ApproximateNumberOfMessagesVisible",
        dimensions_map={"QueueName": queue.queue_name},
        statistic="Maximum",
        period=_FIVE_MINUTES,
        label=name,
    )
