"""Scales an asynchronous endpoint on its backlog: wakes it from zero, adds instances, and takes all away once it is idle.

Target tracking alone neither wakes an endpoint below its target nor spares what runs: the backlog includes it, so three
instances with one long recording each look idle, and two would be removed under their work.
Source: SageMaker developer guide, "Autoscale an asynchronous endpoint".
"""

from aws_cdk import aws_applicationautoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.constructs.async_endpoint import AsyncEndpoint
from infra.scaling import BacklogScalingSettings

_MINUTE_SECONDS = 60


class BacklogScaling(Construct):
    def __init__(
        self, scope: Construct, construct_id: str, *, endpoint: AsyncEndpoint, settings: BacklogScalingSettings
    ) -> None:
        super().__init__(scope, construct_id)
        self._endpoint = endpoint
        self._settings = settings
        # The service-linked role is used where none is given.
        self._target = autoscaling.CfnScalableTarget(
            self,
            "Target",
            service_namespace="sagemaker",
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
            resource_id=f"endpoint/{endpoint.endpoint_name}/variant/{endpoint.variant_name}",
            min_capacity=settings.min_instances,
            max_capacity=settings.max_instances,
        )
        self._follow_backlog()
        self._wake()
        self._rest_when_idle()

    def _follow_backlog(self) -> None:
        autoscaling.CfnScalingPolicy(
            self,
            "FollowBacklog",
            policy_name="follow-backlog",
            policy_type="TargetTrackingScaling",
            scaling_target_id=self._target.ref,
            target_tracking_scaling_policy_configuration=autoscaling.CfnScalingPolicy.TargetTrackingScalingPolicyConfigurationProperty(
                target_value=self._settings.backlog_per_instance,
                customized_metric_specification=autoscaling.CfnScalingPolicy.CustomizedMetricSpecificationProperty(
                    namespace="AWS/SageMaker",
                    metric_name="ApproximateBacklogSizePerInstance",
                    statistic="Average",
                    dimensions=[
                        autoscaling.CfnScalingPolicy.MetricDimensionProperty(
                            name="EndpointName", value=self._endpoint.endpoint_name
                        )
                    ],
                ),
                scale_out_cooldown=self._settings.cooldown_seconds,
                scale_in_cooldown=self._settings.cooldown_seconds,
                disable_scale_in=not self._settings.partial_scale_in,
            ),
        )

    def _wake(self) -> None:
        """One more instance where something waits and there is none to take it."""
        # Not "exactly one": with the backlog over the target both policies act, and this one must not take instances back.
        step = autoscaling.CfnScalingPolicy.StepAdjustmentProperty(metric_interval_lower_bound=0, scaling_adjustment=1)
        policy = self._step_policy("Wake", "ChangeInCapacity", step, self._settings.wake_cooldown_seconds)
        cloudwatch.CfnAlarm(
            self,
            "WaitingWithoutInstance",
            alarm_description="Recordings wait and no instance runs: wakes the endpoint. Part of scaling, nothing to act on.",
            namespace="AWS/SageMaker",
            metric_name="HasBacklogWithoutCapacity",
            dimensions=self._endpoint.metric_dimensions,
            statistic="Average",
            period=_MINUTE_SECONDS,
            evaluation_periods=2,
            datapoints_to_alarm=2,
            threshold=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            treat_missing_data="missing",
            alarm_actions=[policy.ref],
        )

    def _rest_when_idle(self) -> None:
        """Down to the minimum once nothing has been queued or running for a while."""
        # The bounds are relative to the threshold, and a backlog of zero lies below it.
        step = autoscaling.CfnScalingPolicy.StepAdjustmentProperty(
            metric_interval_upper_bound=0, scaling_adjustment=self._settings.min_instances
        )
        policy = self._step_policy("Rest", "ExactCapacity", step, self._settings.cooldown_seconds)
        cloudwatch.CfnAlarm(
            self,
            "Idle",
            alarm_description="Nothing is queued or running: rests the endpoint. Part of scaling, nothing to act on.",
            namespace="AWS/SageMaker",
            metric_name="ApproximateBacklogSize",
            dimensions=self._endpoint.metric_dimensions,
            # The highest of the minute, as a short recording that came and went is work too.
            statistic="Maximum",
            period=_MINUTE_SECONDS,
            evaluation_periods=self._settings.idle_minutes,
            datapoints_to_alarm=self._settings.idle_minutes,
            threshold=1,
            comparison_operator="LessThanThreshold",
            # A minute that says nothing does not say that nothing runs.
            treat_missing_data="notBreaching",
            alarm_actions=[policy.ref],
        )

    def _step_policy(
        self,
        construct_id: str,
        adjustment_type: str,
        step: autoscaling.CfnScalingPolicy.StepAdjustmentProperty,
        cooldown_seconds: int,
    ) -> autoscaling.CfnScalingPolicy:
        return autoscaling.CfnScalingPolicy(
            self,
            construct_id,
            policy_name=construct_id.lower(),
            policy_type="StepScaling",
            scaling_target_id=self._target.ref,
            step_scaling_policy_configuration=autoscaling.CfnScalingPolicy.StepScalingPolicyConfigurationProperty(
                adjustment_type=adjustment_type,
                metric_aggregation_type="Maximum",
                cooldown=cooldown_seconds,
                step_adjustments=[step],
            ),
        )
