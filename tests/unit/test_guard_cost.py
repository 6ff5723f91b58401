"""Instance hours are counted from midnight; above the limit the endpoint closes for the day, where that is asked for."""

from datetime import UTC, datetime, timedelta

import pytest
from moto import mock_aws

from guard_cost.guard import CostGuard
from guard_cost.settings import Settings
from tests.unit.operations import ENDPOINT, VARIANT, client, create_endpoint, instances_of

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


@pytest.fixture
def aws(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        create_endpoint(client("sagemaker"), instances=2)
        yield


def guard(now=NOON, **changes):
    settings = {"instance_hours_a_day": 10.0, "enforce": True, "min_instances": 0, "max_instances": 3, "interval_seconds": 1800}
    return CostGuard(
        Settings(ENDPOINT, VARIANT, **{**settings, **changes}),
        "guard_cost",
        client("sagemaker"),
        client("cloudwatch"),
        client("application-autoscaling"),
        lambda: now,
    )


def used(hours, at):
    """As CloudWatch takes it from the function's log."""
    dimensions = [{"Name": "EndpointName", "Value": ENDPOINT}, {"Name": "service", "Value": "guard_cost"}]
    datum = {"MetricName": "InstanceHours", "Dimensions": dimensions, "Timestamp": at, "Value": hours}
    client("cloudwatch").put_metric_data(Namespace="Whisperstack", MetricData=[datum])


def most_instances():
    (target,) = client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    return target["MaxCapacity"]


@pytest.mark.usefixtures("aws")
def test_the_hours_of_today_are_added_up_and_those_of_yesterday_are_not():
    used(4, NOON - timedelta(hours=11))
    used(3, NOON - timedelta(hours=1))
    used(50, NOON - timedelta(hours=13))
    usage = guard().measure()
    assert (usage.instances, usage.hours, usage.hours_today) == (2, 1.0, 8.0)


@pytest.mark.usefixtures("aws")
def test_below_the_limit_the_endpoint_may_grow():
    used(8.9, NOON - timedelta(hours=1))
    assert guard().enforce(guard().measure()) is False
    assert (most_instances(), instances_of(client("sagemaker"))) == (3, 2)


@pytest.mark.usefixtures("aws")
def test_at_the_limit_the_instances_go_and_no_new_ones_come():
    used(9, NOON - timedelta(hours=1))
    assert guard().enforce(guard().measure()) is True
    assert (most_instances(), instances_of(client("sagemaker"))) == (0, 0)


@pytest.mark.usefixtures("aws")
def test_a_minimum_is_kept():
    used(9, NOON - timedelta(hours=1))
    guard(min_instances=1).enforce(guard().measure())
    assert (most_instances(), instances_of(client("sagemaker"))) == (1, 1)


@pytest.mark.usefixtures("aws")
def test_the_next_day_opens_it_again():
    used(9, NOON - timedelta(hours=1))
    guard().enforce(guard().measure())
    tomorrow = guard(now=NOON + timedelta(hours=12, seconds=30))
    assert tomorrow.enforce(tomorrow.measure()) is False
    assert most_instances() == 3


@pytest.mark.usefixtures("aws")
def test_a_guard_that_only_tells_changes_nothing():
    used(9, NOON - timedelta(hours=1))
    assert guard(enforce=False).enforce(guard().measure()) is True
    assert instances_of(client("sagemaker")) == 2
    assert client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []
