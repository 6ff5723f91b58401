"""How many instance hours an endpoint has used today, and what to do above the limit."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from guard_cost.settings import Settings
from whisperstack_contract import metrics

_DIMENSION: Final = "sagemaker:variant:DesiredInstanceCount"
_HOUR_SECONDS: Final = 3600


@dataclass(frozen=True)
class Usage:
    """instances: now. hours: those of the interval that ends now. hours_today: since midnight UTC, `hours` included."""

    instances: int
    hours: float
    hours_today: float


@dataclass(frozen=True)
class CostGuard:
    """service: the dimension under which this function's own metrics are found."""

    settings: Settings
    service: str
    sagemaker: Any
    cloudwatch: Any
    autoscaling: Any
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def measure(self) -> Usage:
        endpoint = self.sagemaker.describe_endpoint(EndpointName=self.settings.endpoint_name)
        # A variant that is being created has no count yet.
        instances = sum(variant.get("CurrentInstanceCount", 0) for variant in endpoint.get("ProductionVariants", ()))
        hours = instances * self.settings.interval_seconds / _HOUR_SECONDS
        return Usage(instances, hours, self._hours_before() + hours)

    def enforce(self, usage: Usage) -> bool:
        """Whether the limit is reached. Where the settings say so, it also closes the endpoint, or opens it on a new day."""
        reached = usage.hours_today >= self.settings.instance_hours_a_day
        if not self.settings.enforce:
            return reached
        limit = self.settings.min_instances if reached else self.settings.max_instances
        self.autoscaling.register_scalable_target(
            ServiceNamespace="sagemaker",
            ScalableDimension=_DIMENSION,
            ResourceId=f"endpoint/{self.settings.endpoint_name}/variant/{self.settings.variant_name}",
            MinCapacity=self.settings.min_instances,
            MaxCapacity=limit,
        )
        if usage.instances > limit:
            # A lower maximum alone takes effect at the next scaling activity, which may be hours away.
            self.sagemaker.update_endpoint_weights_and_capacities(
                EndpointName=self.settings.endpoint_name,
                DesiredWeightsAndCapacities=[
                    {"VariantName": self.settings.variant_name, "DesiredInstanceCount": limit},
                ],
            )
        return reached

    def _hours_before(self) -> float:
        now = self.clock()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if now - midnight < timedelta(minutes=1):
            return 0.0
        response = self.cloudwatch.get_metric_statistics(
            Namespace=metrics.NAMESPACE,
            MetricName=metrics.INSTANCE_HOURS,
            Dimensions=[
                {"Name": "EndpointName", "Value": self.settings.endpoint_name},
                {"Name": "service", "Value": self.service},
            ],
            StartTime=midnight,
            EndTime=now,
            Period=_HOUR_SECONDS,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in response["Datapoints"]))
