"""Scales a real-time endpoint on the requests that its instances have at a time, and lets it rest outside its hours.

Source: SageMaker developer guide, "Autoscaling policy with high-resolution metrics": the metric is read every ten seconds, and
counts what waits in the container as well as what is being answered.
"""

from aws_cdk import aws_applicationautoscaling as autoscaling
from constructs import Construct

from infra.constructs.realtime_endpoint import RealtimeEndpoint
from infra.inference_options import RealtimeSettings
from infra.scaling import OpeningHours

_METRIC = "SageMakerVariantConcurrentRequestsPerModelHighResolution"


class ConcurrencyScaling(Construct):
    def __init__(self, scope: Construct, construct_id: str, *, endpoint: RealtimeEndpoint, settings: RealtimeSettings) -> None:
        super().__init__(scope, construct_id)
        scaling = settings.scaling
        target = autoscaling.CfnScalableTarget(
            self,
            "Target",
            service_namespace="sagemaker",
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
            resource_id=f"endpoint/{endpoint.endpoint_name}/variant/{endpoint.variant_name}",
            min_capacity=scaling.least_instances,
            max_capacity=scaling.max_instances,
            scheduled_actions=_actions(scaling.hours, scaling.min_instances, scaling.max_instances) if scaling.hours else None,
        )
        autoscaling.CfnScalingPolicy(
            self,
            "FollowRequests",
            policy_name="follow-requests",
            policy_type="TargetTrackingScaling",
            scaling_target_id=target.ref,
            target_tracking_scaling_policy_configuration=autoscaling.CfnScalingPolicy.TargetTrackingScalingPolicyConfigurationProperty(
                target_value=settings.target_concurrency,
                predefined_metric_specification=autoscaling.CfnScalingPolicy.PredefinedMetricSpecificationProperty(
                    predefined_metric_type=_METRIC
                ),
                scale_out_cooldown=scaling.scale_out_cooldown_seconds,
                scale_in_cooldown=scaling.scale_in_cooldown_seconds,
            ),
        )


def _actions(hours: OpeningHours, least: int, most: int) -> list[autoscaling.CfnScalableTarget.ScheduledActionProperty]:
    def action(name: str, schedule: str, least: int, most: int) -> autoscaling.CfnScalableTarget.ScheduledActionProperty:
        return autoscaling.CfnScalableTarget.ScheduledActionProperty(
            scheduled_action_name=name,
            schedule=schedule,
            timezone=hours.timezone,
            scalable_target_action=autoscaling.CfnScalableTarget.ScalableTargetActionProperty(
                min_capacity=least, max_capacity=most
            ),
        )

    outside = hours.instances_outside
    return [action("open", hours.opens, least, most), action("close", hours.closes, outside, outside)]
