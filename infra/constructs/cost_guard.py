"""Counts an endpoint's instance hours, tells when a day has had too many, and takes the instances away where asked to."""

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from constructs import Construct

from infra.constructs.alarms import Alarms
from infra.constructs.event_target import FunctionTarget
from infra.constructs.python_function import FunctionPlatform, PythonFunction
from infra.constructs.whisper_endpoint import WhisperEndpoint
from infra.grants import grant, grant_wildcard
from whisperstack_contract import metrics, variables

_PACKAGE = "guard_cost"
_EVERY = Duration.minutes(5)


class CostGuard(Construct):
    """hours_a_day: above which an alarm tells. enforce: whether to go down to min_instances then, until midnight UTC."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint: WhisperEndpoint,
        min_instances: int,
        max_instances: int,
        hours_a_day: float,
        enforce: bool,
        alarms: Alarms,
        platform: FunctionPlatform,
    ) -> None:
        super().__init__(scope, construct_id)
        self._endpoint = endpoint
        self.function = PythonFunction(
            self,
            "Guard",
            package=_PACKAGE,
            variables={
                variables.ENDPOINT_NAME: endpoint.endpoint_name,
                variables.VARIANT_NAME: endpoint.variant_name,
                variables.INSTANCE_HOURS_A_DAY: str(hours_a_day),
                variables.ENFORCE_INSTANCE_HOURS: str(enforce).lower(),
                variables.MIN_INSTANCES: str(min_instances),
                variables.MAX_INSTANCES: str(max_instances),
                variables.GUARD_INTERVAL_SECONDS: str(_EVERY.to_seconds()),
            },
            timeout=Duration.minutes(1),
            memory_mib=256,
            platform=platform,
        )
        grant(self.function.role, ["sagemaker:DescribeEndpoint"], [endpoint.endpoint_arn])
        grant_wildcard(
            self.function.role, ["cloudwatch:GetMetricStatistics"], ["*"], "Reading a metric has no resource to be narrowed to."
        )
        if enforce:
            self._grant_scaling()
        rule = events.Rule(self, "Schedule", description="Counts instance hours", schedule=events.Schedule.rate(_EVERY))
        rule.add_target(FunctionTarget(self.function))
        alarms.at_least(
            self,
            "InstanceHours",
            self.metric(metrics.INSTANCE_HOURS_TODAY, "Maximum"),
            hours_a_day,
            meaning=f"The endpoint has used {hours_a_day:g} instance hours or more since midnight UTC.",
        )

    def metric(self, name: str, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=metrics.NAMESPACE,
            metric_name=name,
            dimensions_map={"EndpointName": self._endpoint.endpoint_name, "service": _PACKAGE},
            statistic=statistic,
            period=_EVERY,
        )

    def _grant_scaling(self) -> None:
        stack = Stack.of(self)
        target = stack.format_arn(
            service="application-autoscaling",
            resource="scalable-target",
            resource_name="*",
            arn_format=ArnFormat.SLASH_RESOURCE_NAME,
        )
        grant_wildcard(
            self.function.role,
            ["application-autoscaling:RegisterScalableTarget"],
            [target],
            "A scalable target's id is made up by the service; the conditions narrow it to SageMaker's instance counts.",
            {
                "StringEquals": {
                    "application-autoscaling:service-namespace": "sagemaker",
                    "application-autoscaling:scalable-dimension": "sagemaker:variant:DesiredInstanceCount",
                }
            },
        )
        grant(self.function.role, ["sagemaker:UpdateEndpointWeightsAndCapacities"], [self._endpoint.endpoint_arn])
