"""Scaling, alarms and budgets of a template: recorded, to be looked at; nothing scales, fires or is billed here."""

import secrets
from typing import Any, Final

from moto.core.common_models import CloudFormationModel

from local.emulator.api_resource import ApiResource
from local.emulator.surroundings import ACCOUNT, REGION


class _ScalableTarget(ApiResource, CloudFormationModel):
    cfn_type = "AWS::ApplicationAutoScaling::ScalableTarget"

    @classmethod
    def put(cls, properties: dict[str, Any]) -> str:
        cls.surroundings.client("application-autoscaling").register_scalable_target(
            **_target_of(properties), MinCapacity=int(properties["MinCapacity"]), MaxCapacity=int(properties["MaxCapacity"])
        )
        for action in properties.get("ScheduledActions", ()):
            cls.surroundings.client("application-autoscaling").put_scheduled_action(
                **_target_of(properties),
                **{name: action[name] for name in ("ScheduledActionName", "Schedule", "Timezone") if name in action},
                ScalableTargetAction={name: int(value) for name, value in action["ScalableTargetAction"].items()},
            )
        return "|".join(_target_of(properties).values())

    @classmethod
    def remove(cls, physical_id: str, _properties: dict[str, Any]) -> None:
        cls.surroundings.client("application-autoscaling").deregister_scalable_target(**_target_named(physical_id))


class _ScalingPolicy(ApiResource, CloudFormationModel):
    cfn_type = "AWS::ApplicationAutoScaling::ScalingPolicy"

    @classmethod
    def put(cls, properties: dict[str, Any]) -> str:
        target = properties.get("ScalingTargetId")
        configurations = {
            "TargetTrackingScalingPolicyConfiguration": properties.get("TargetTrackingScalingPolicyConfiguration"),
            "StepScalingPolicyConfiguration": properties.get("StepScalingPolicyConfiguration"),
        }
        response = cls.surroundings.client("application-autoscaling").put_scaling_policy(
            PolicyName=properties["PolicyName"],
            PolicyType=properties["PolicyType"],
            **(_target_named(target) if target else _target_of(properties)),
            **{name: value for name, value in configurations.items() if value},
        )
        return str(response["PolicyARN"])

    @classmethod
    def remove(cls, physical_id: str, properties: dict[str, Any]) -> None:
        # A policy goes with its target, which may be gone already.
        autoscaling = cls.surroundings.client("application-autoscaling")
        for policy in autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]:
            if policy["PolicyARN"] == physical_id:
                autoscaling.delete_scaling_policy(PolicyName=properties["PolicyName"], **_target_of(policy))


class _Alarm(ApiResource, CloudFormationModel):
    cfn_type = "AWS::CloudWatch::Alarm"

    @classmethod
    def put(cls, properties: dict[str, Any]) -> str:
        return cls.change(properties.get("AlarmName") or f"alarm-{secrets.token_hex(8)}", properties)

    @classmethod
    def change(cls, physical_id: str, properties: dict[str, Any]) -> str:
        cls.surroundings.client("cloudwatch").put_metric_alarm(**{**properties, "AlarmName": physical_id})
        return physical_id

    @classmethod
    def remove(cls, physical_id: str, _properties: dict[str, Any]) -> None:
        cls.surroundings.client("cloudwatch").delete_alarms(AlarmNames=[physical_id])

    def get_cfn_attribute(self, _attribute_name: str) -> str:
        return f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{self.physical_resource_id}"


class _Budget(ApiResource, CloudFormationModel):
    cfn_type = "AWS::Budgets::Budget"

    @classmethod
    def put(cls, properties: dict[str, Any]) -> str:
        name = f"budget-{secrets.token_hex(8)}"
        cls._create(name, properties)
        return name

    @classmethod
    def change(cls, physical_id: str, properties: dict[str, Any]) -> str:
        cls.remove(physical_id, properties)
        cls._create(physical_id, properties)
        return physical_id

    @classmethod
    def remove(cls, physical_id: str, _properties: dict[str, Any]) -> None:
        cls.surroundings.client("budgets").delete_budget(AccountId=ACCOUNT, BudgetName=physical_id)

    @classmethod
    def _create(cls, name: str, properties: dict[str, Any]) -> None:
        budget = {**properties["Budget"], "BudgetName": name}
        limit = budget["BudgetLimit"]
        budget["BudgetLimit"] = {"Amount": str(limit["Amount"]), "Unit": limit["Unit"]}
        cls.surroundings.client("budgets").create_budget(
            AccountId=ACCOUNT, Budget=budget, NotificationsWithSubscribers=properties.get("NotificationsWithSubscribers", [])
        )


def _target_of(properties: dict[str, Any]) -> dict[str, str]:
    return {name: properties[name] for name in ("ResourceId", "ScalableDimension", "ServiceNamespace")}


def _target_named(physical_id: str) -> dict[str, str]:
    """The parts of a scalable target's physical id, which CloudFormation builds the same way."""
    return dict(zip(("ResourceId", "ScalableDimension", "ServiceNamespace"), physical_id.split("|"), strict=True))


OPERATIONS_TYPES: Final = (_ScalableTarget, _ScalingPolicy, _Alarm, _Budget)
