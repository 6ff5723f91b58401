"""Instances follow the backlog, wake from zero, and all go once nothing is queued or running."""

import dataclasses

import pytest

from infra.environments import find_environment
from infra.errors import ConfigurationError
from infra.scaling import BacklogScalingSettings
from tests.infra.synthesized import synthesize

POLICY = "AWS::ApplicationAutoScaling::ScalingPolicy"


def alarm(template, name):
    return template.resource("AWS::CloudWatch::Alarm", f"Scaling{name}")


def policy(template, name):
    return template.resource(POLICY, f"Scaling{name}")


def step(template, name):
    (adjustment,) = policy(template, name)["StepScalingPolicyConfiguration"]["StepAdjustments"]
    return adjustment


def acted_on_by(template, alarm_name):
    (action,) = alarm(template, alarm_name)["AlarmActions"]
    return template.body["Resources"][action["Ref"]]["Properties"]


@pytest.fixture(scope="session")
def changed(tmp_path_factory):
    """The asynchronous stack of dev with other scaling settings."""
    scaling = BacklogScalingSettings(min_instances=1, max_instances=7, idle_minutes=25, partial_scale_in=True)
    dev = find_environment("dev")
    settings = dataclasses.replace(dev.asynchronous, scaling=scaling)
    return synthesize(dataclasses.replace(dev, asynchronous=settings), tmp_path_factory.mktemp("scaling")).asynchronous


def test_the_endpoints_variant_scales_between_zero_and_three(asynchronous):
    target = asynchronous.resource("AWS::ApplicationAutoScaling::ScalableTarget")
    (variant,) = asynchronous.resource("AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 3)
    assert target["ResourceId"]["Fn::Join"][1][-1] == f"/variant/{variant['VariantName']}"
    assert target["ScalableDimension"] == "sagemaker:variant:DesiredInstanceCount"


def test_instances_follow_three_recordings_each_and_are_never_taken_away_one_by_one(asynchronous):
    tracking = policy(asynchronous, "FollowBacklog")["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 3
    assert (tracking["ScaleOutCooldown"], tracking["ScaleInCooldown"]) == (60, 60)
    assert tracking["DisableScaleIn"] is True, "the backlog includes what runs, so scaling in would end it"


def test_a_first_recording_wakes_the_endpoint_although_it_is_below_the_target(asynchronous):
    waiting = alarm(asynchronous, "WaitingWithoutInstance")
    assert waiting["MetricName"] == "HasBacklogWithoutCapacity"
    assert (waiting["Period"], waiting["EvaluationPeriods"], waiting["TreatMissingData"]) == (60, 2, "missing")
    assert (waiting["ComparisonOperator"], waiting["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert acted_on_by(asynchronous, "WaitingWithoutInstance")["PolicyName"] == "wake"


def test_waking_adds_and_never_takes_back_what_target_tracking_has_added(asynchronous):
    assert policy(asynchronous, "Wake")["StepScalingPolicyConfiguration"]["AdjustmentType"] == "ChangeInCapacity"
    assert step(asynchronous, "Wake") == {"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}


def test_ten_minutes_without_queued_or_running_work_take_every_instance_away(asynchronous):
    idle = alarm(asynchronous, "Idle")
    assert (idle["MetricName"], idle["Statistic"]) == ("ApproximateBacklogSize", "Maximum")
    assert (idle["Period"], idle["EvaluationPeriods"], idle["DatapointsToAlarm"]) == (60, 10, 10)
    assert policy(asynchronous, "Rest")["StepScalingPolicyConfiguration"]["AdjustmentType"] == "ExactCapacity"
    assert step(asynchronous, "Rest") == {"MetricIntervalUpperBound": 0, "ScalingAdjustment": 0}
    assert acted_on_by(asynchronous, "Idle")["PolicyName"] == "rest"


def test_a_backlog_of_zero_lies_within_the_step_that_the_idle_alarm_triggers(asynchronous):
    idle = alarm(asynchronous, "Idle")
    assert idle["ComparisonOperator"] == "LessThanThreshold"
    assert 0 - idle["Threshold"] < step(asynchronous, "Rest")["MetricIntervalUpperBound"]


def test_minutes_without_a_datum_do_not_count_as_idle(asynchronous):
    assert alarm(asynchronous, "Idle")["TreatMissingData"] == "notBreaching"


def test_limits_idle_time_and_partial_scale_in_are_settings(changed):
    target = changed.resource("AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 7)
    assert policy(changed, "FollowBacklog")["TargetTrackingScalingPolicyConfiguration"]["DisableScaleIn"] is False
    assert alarm(changed, "Idle")["EvaluationPeriods"] == 25
    assert step(changed, "Rest")["ScalingAdjustment"] == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"min_instances": 4}, r"min_instances is 4; it must be 0 to max_instances, which is 3"),
        ({"min_instances": -1}, r"min_instances is -1"),
        ({"max_instances": 0}, r"max_instances is 0; it must be 1 to 100"),
        ({"idle_minutes": 0}, r"idle_minutes is 0; it must be 1 to 1440"),
        ({"idle_minutes": 1441}, r"idle_minutes is 1441"),
        ({"backlog_per_instance": 0}, r"backlog_per_instance is 0"),
        ({"cooldown_seconds": 3601}, r"cooldown_seconds is 3601; it must be 0 to 3600"),
        ({"wake_cooldown_seconds": 59}, r"wake_cooldown_seconds is 59; it must be 60 to 3600"),
    ],
)
def test_scaling_that_cannot_work_is_refused(change, told):
    with pytest.raises(ConfigurationError, match=told):
        BacklogScalingSettings(**change)
