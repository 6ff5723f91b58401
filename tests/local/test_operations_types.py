"""Scaling, alarms and budgets of a template are recorded where their services show them."""

import json

import pytest

from local.emulator.surroundings import ACCOUNT

TARGET = "AWS::ApplicationAutoScaling::ScalableTarget"
POLICY = "AWS::ApplicationAutoScaling::ScalingPolicy"


def resources(threshold):
    return {
        "Target": {
            "Type": TARGET,
            "Properties": {
                "ServiceNamespace": "sagemaker",
                "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
                "ResourceId": "endpoint/recorded/variant/Whisper",
                "MinCapacity": 0,
                "MaxCapacity": 3,
            },
        },
        "Policy": {
            "Type": POLICY,
            "Properties": {
                "PolicyName": "wake",
                "PolicyType": "StepScaling",
                "ScalingTargetId": {"Ref": "Target"},
                "StepScalingPolicyConfiguration": {
                    "AdjustmentType": "ChangeInCapacity",
                    "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
                },
            },
        },
        "Alarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "Namespace": "AWS/SageMaker",
                "MetricName": "HasBacklogWithoutCapacity",
                "Dimensions": [{"Name": "EndpointName", "Value": "recorded"}],
                "Statistic": "Average",
                "Period": 60,
                "EvaluationPeriods": 2,
                "Threshold": threshold,
                "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                "AlarmActions": [{"Ref": "Policy"}],
            },
        },
        "Budget": {
            "Type": "AWS::Budgets::Budget",
            "Properties": {
                "Budget": {
                    "BudgetType": "COST",
                    "TimeUnit": "MONTHLY",
                    "BudgetLimit": {"Amount": threshold * 100, "Unit": "USD"},
                }
            },
        },
    }


def seen(aws):
    autoscaling, cloudwatch = aws.client("application-autoscaling"), aws.client("cloudwatch")
    alarms = cloudwatch.describe_alarms()["MetricAlarms"]
    return {
        "targets": autoscaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"],
        "policies": autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"],
        "alarms": [alarm for alarm in alarms if alarm["Dimensions"] == [{"Name": "EndpointName", "Value": "recorded"}]],
        "budgets": aws.client("budgets").describe_budgets(AccountId=ACCOUNT).get("Budgets", []),
    }


@pytest.fixture
def deploy(aws):
    cloudformation = aws.client("cloudformation")

    def run(threshold):
        body = json.dumps({"Resources": resources(threshold)})
        if any(stack["StackName"] == "watching" for stack in cloudformation.describe_stacks()["Stacks"]):
            cloudformation.update_stack(StackName="watching", TemplateBody=body)
        else:
            cloudformation.create_stack(StackName="watching", TemplateBody=body)
        return seen(aws)

    yield run
    cloudformation.delete_stack(StackName="watching")


def test_each_is_there_and_the_alarm_acts_on_the_policy(deploy):
    there = deploy(1)
    assert {kind: len(found) for kind, found in there.items()} == {"targets": 1, "policies": 1, "alarms": 1, "budgets": 1}
    assert (there["targets"][0]["MinCapacity"], there["targets"][0]["MaxCapacity"]) == (0, 3)
    assert there["alarms"][0]["AlarmActions"] == [there["policies"][0]["PolicyARN"]]
    assert there["policies"][0]["ResourceId"] == "endpoint/recorded/variant/Whisper"


def test_an_update_changes_what_is_there_and_adds_nothing(deploy):
    deploy(1)
    there = deploy(2)
    assert {kind: len(found) for kind, found in there.items()} == {"targets": 1, "policies": 1, "alarms": 1, "budgets": 1}
    assert there["alarms"][0]["Threshold"] == 2
    assert float(there["budgets"][0]["BudgetLimit"]["Amount"]) == 200


def test_all_go_with_their_stack(deploy, aws):
    deploy(1)
    aws.client("cloudformation").delete_stack(StackName="watching")
    assert not any(seen(aws).values())
