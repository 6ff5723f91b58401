"""Metrics come out with the dimensions under which alarms and the dashboard look for them."""

import pytest
from moto import mock_aws

from guard_cost import handler as guard_cost
from record_result import handler as record_result
from tests.infra.published_metrics import OWN
from tests.unit.operations import ENDPOINT, VARIANT, client, create_endpoint, metrics_in
from tests.unit.pipeline import CONTEXT, sqs_event
from transcribe_canary import handler as transcribe_canary
from transcribe_canary.canary import Verdict
from whisperstack_contract import variables


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def test_powertools_adds_the_function_as_a_dimension(monkeypatch, capsys):
    # As infra sets it for every function.
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "record_result")
    record_result.lambda_handler(sqs_event({"message": "SageMaker's test message"}), CONTEXT)
    found = metrics_in(capsys.readouterr().out)
    assert found == {("Whisperstack", "EndpointTestMessages"): (frozenset({"service"}), 1)}
    assert OWN["Whisperstack", "JobsFailed"][0] == {"service"}


def test_the_cost_guard_counts_for_its_endpoint(monkeypatch, capsys):
    settings = {
        variables.ENDPOINT_NAME: ENDPOINT,
        variables.VARIANT_NAME: VARIANT,
        variables.INSTANCE_HOURS_A_DAY: "24",
        variables.ENFORCE_INSTANCE_HOURS: "false",
        variables.MIN_INSTANCES: "0",
        variables.MAX_INSTANCES: "3",
        variables.GUARD_INTERVAL_SECONDS: "300",
        "POWERTOOLS_SERVICE_NAME": "guard_cost",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    guard_cost.guard.cache_clear()
    with mock_aws():
        create_endpoint(client("sagemaker"), instances=2)
        guard_cost.lambda_handler({}, CONTEXT)
    guard_cost.guard.cache_clear()
    found = metrics_in(capsys.readouterr().out)
    assert {name for _, name in found} == {"Instances", "InstanceHours", "InstanceHoursToday"}
    for name, (dimensions, _value) in found.items():
        assert dimensions == OWN[name][0]
    assert found["Whisperstack", "Instances"][1] == 2
    assert found["Whisperstack", "InstanceHours"][1] == pytest.approx(2 * 5 / 60)


class Decided:
    """A canary that has made up its mind."""

    def __init__(self, verdict):
        self._verdict = verdict
        self.settings = type("Settings", (), {"endpoint_name": ENDPOINT})

    def run(self, *, scheduled):
        self.scheduled = scheduled
        return self._verdict


@pytest.mark.parametrize(
    ("verdict", "metric"),
    [
        (Verdict.PASSED, "CanariesPassed"),
        (Verdict.FAILED, "CanariesFailed"),
        (Verdict.SKIPPED, None),
        (Verdict.UNANSWERED, None),
    ],
)
def test_a_canary_counts_as_passed_or_failed_for_its_endpoint_or_not_at_all(monkeypatch, capsys, verdict, metric):
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "transcribe_canary")
    decided = Decided(verdict)
    monkeypatch.setattr(transcribe_canary, "canary", lambda: decided)
    transcribe_canary.lambda_handler({"detail-type": "Scheduled Event"}, CONTEXT)
    assert decided.scheduled is True
    found = metrics_in(capsys.readouterr().out)
    assert found == ({("Whisperstack", metric): (OWN["Whisperstack", metric][0], 1)} if metric else {})
