"""Alarms that can fire, that someone hears of, and that say where to read on."""

import dataclasses
import json
import re

import pytest

from infra.environments import environment_names, find_environment
from infra.errors import ConfigurationError
from infra.operations import OperationsSettings
from tests.infra.published_metrics import OWN, PUBLISHED, PUBLISHED_IN_REAL_TIME
from tests.infra.synthesized import ROOT, synthesize

ALARM = "AWS::CloudWatch::Alarm"


def told(template):
    """The alarms that a person hears of, by logical id; the others only scale."""
    return {
        logical_id: resource["Properties"]
        for logical_id, resource in template.body["Resources"].items()
        if resource["Type"] == ALARM and "ScalingPolicy" not in resource_types(template, resource["Properties"])
    }


def resource_types(template, alarm):
    actions = [action["Ref"] for action in alarm["AlarmActions"] if "Ref" in action]
    return " ".join(template.body["Resources"][name]["Type"] for name in actions)


def section(alarm):
    return re.search(r"Runbook: docs/operations\.md#([a-z-]+)$", alarm["AlarmDescription"])[1]


def watched_metrics(alarm):
    """(namespace, metric, dimensions, statistic, period) of everything that an alarm looks at."""
    stats = [each["MetricStat"] for each in alarm.get("Metrics", ()) if "MetricStat" in each]
    plain = [{"Metric": alarm, "Stat": alarm["Statistic"], "Period": alarm["Period"]}] if "MetricName" in alarm else []
    return [
        (
            stat["Metric"]["Namespace"],
            stat["Metric"]["MetricName"],
            {dimension["Name"] for dimension in stat["Metric"]["Dimensions"]},
            stat["Stat"],
            stat["Period"],
        )
        for stat in (*stats, *plain)
    ]


@pytest.mark.parametrize("environment", environment_names())
@pytest.mark.parametrize(
    ("stack", "published", "least"),
    [("Asynchronous", PUBLISHED, 15), ("Realtime-main", PUBLISHED_IN_REAL_TIME, 6), ("Batch", PUBLISHED, 5)],
)
def test_every_alarm_watches_what_is_published_under_those_dimensions_and_so_can_fire(
    syntheses, environment, stack, published, least
):
    if stack not in syntheses[environment].stacks:
        assert environment == "dev"
        return
    known = {**published, **OWN}
    alarms = syntheses[environment].stacks[stack].resources(ALARM)
    assert len(alarms) >= least
    for alarm in alarms:
        for namespace, name, dimensions, statistic, period in watched_metrics(alarm):
            expected, statistics = known[namespace, name]
            assert dimensions == expected, name
            assert statistic in statistics, name
            assert period * alarm["EvaluationPeriods"] <= 24 * 3600


def test_the_scaling_policy_watches_what_is_published(asynchronous):
    policy = asynchronous.resource("AWS::ApplicationAutoScaling::ScalingPolicy", "ScalingFollow")
    metric = policy["TargetTrackingScalingPolicyConfiguration"]["CustomizedMetricSpecification"]
    dimensions, statistics = PUBLISHED[metric["Namespace"], metric["MetricName"]]
    assert {dimension["Name"] for dimension in metric["Dimensions"]} == dimensions
    assert metric["Statistic"] in statistics


@pytest.mark.parametrize(("stack", "published"), [("asynchronous", PUBLISHED), ("realtime", PUBLISHED_IN_REAL_TIME)])
def test_everything_on_the_dashboard_is_published_under_those_dimensions(syntheses, stack, published):
    known = {**published, **OWN}
    parts = getattr(syntheses["staging"], stack).resource("AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Join"][1]
    body = json.loads("".join(part if isinstance(part, str) else "x" for part in parts))
    shown = [metric for widget in body["widgets"] for metric in widget["properties"].get("metrics", [])]
    metrics = [metric for metric in shown if isinstance(metric[0], str)]
    assert len(metrics) >= (15 if stack == "asynchronous" else 9)
    for namespace, name, *rest in metrics:
        dimensions, statistics = known[namespace, name]
        options = rest[-1]
        assert set(rest[:-1:2]) == dimensions, name
        assert options.get("stat", "Average") in statistics, name


@pytest.mark.parametrize(
    ("stack", "shown"),
    [
        (
            "asynchronous",
            {
                *("ApproximateBacklogSize", "ApproximateAgeOfOldestRequest", "Instances", "InstanceHoursToday"),
                *("JobsSubmitted", "JobsSucceeded", "JobsFailed", "JobsRejected"),
                *("TotalProcessingTime p50", "TotalProcessingTime p95", "TimeInBacklog p50", "TimeInBacklog p95"),
                "ApproximateNumberOfMessagesVisible",
            },
        ),
        (
            "realtime",
            {
                *("Invocations", "Invocation4XXErrors", "Invocation5XXErrors", "ConcurrentRequestsPerModel"),
                *("Instances", "InstanceHoursToday", "ModelLatency p50", "ModelLatency p95"),
                *("OverheadLatency p50", "OverheadLatency p95"),
            },
        ),
    ],
)
def test_the_dashboard_shows_at_a_glance_what_waits_runs_fails_and_costs(syntheses, stack, shown):
    template = getattr(syntheses["staging"], stack)
    parts = template.resource("AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Join"][1]
    widgets = json.loads("".join(part if isinstance(part, str) else "x" for part in parts))["widgets"]
    rows = [metric for widget in widgets for metric in widget["properties"].get("metrics", [])]
    found = {f"{row[1]} {row[-1].get('stat', '')}" for row in rows if isinstance(row[0], str)}
    assert found >= {name for name in shown if " p" in name}
    assert {name.split()[0] for name in found} == {name.split()[0] for name in shown}
    costs = [row[0]["expression"] for row in rows if isinstance(row[0], dict)]
    assert costs == ["hours * 1.408"]
    states = next(widget for widget in widgets if widget["type"] == "alarm")
    assert len(states["properties"]["alarms"]) == len(told(template))


def test_a_message_in_any_dead_letter_queue_raises_an_alarm(asynchronous):
    queues = {name: r["Properties"] for name, r in asynchronous.body["Resources"].items() if r["Type"] == "AWS::SQS::Queue"}
    sources = [*asynchronous.resources("AWS::SQS::Queue"), *asynchronous.resources("AWS::SNS::Subscription")]
    targets = {p["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0] for p in sources if "RedrivePolicy" in p}
    for rule in asynchronous.resources("AWS::Events::Rule"):
        targets |= {t["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] for t in rule["Targets"] if "DeadLetterConfig" in t}
    watched = {
        alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0]
        for alarm in told(asynchronous).values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible" and alarm["Threshold"] == 1
    }
    assert targets == watched
    assert targets < set(queues)


@pytest.mark.parametrize("stack", ["asynchronous", "realtime"])
def test_errors_of_any_function_raise_an_alarm(syntheses, stack):
    template = getattr(syntheses["staging"], stack)
    functions = {n for n, r in template.body["Resources"].items() if r["Type"] == "AWS::Lambda::Function"}
    watched = {a["Dimensions"][0]["Value"]["Ref"] for a in told(template).values() if a.get("MetricName") == "Errors"}
    assert watched == functions


@pytest.mark.parametrize("stack", ["asynchronous", "realtime", "batch"])
def test_whoever_subscribes_hears_when_an_alarm_begins_and_when_it_ends(syntheses, stack):
    for alarm in told(getattr(syntheses["staging"], stack)).values():
        assert "Alarms" in json.dumps(alarm["AlarmActions"])
        assert alarm["OKActions"] == alarm["AlarmActions"]


def test_every_alarm_links_to_a_section_of_its_own_and_no_section_is_left_over(dev, asynchronous, realtime):
    page = (ROOT / "docs" / "operations.md").read_text()
    headings = re.findall(r"^### ([\w ]+)$", page, re.MULTILINE)
    assert len(headings) == len(set(headings))
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert anchors == {section(alarm) for template in (asynchronous, realtime, dev.batch) for alarm in told(template).values()}


def test_cloudwatch_and_budgets_of_this_account_may_publish_on_the_alarm_topic(dev):
    statements = dev.operations.resource("AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    (allowed,) = [statement for statement in statements if statement["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"]}
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert "DataKey" in json.dumps(dev.operations.resource("AWS::SNS::Topic")["KmsMasterKeyId"])


@pytest.fixture(scope="session")
def watched(tmp_path_factory):
    """dev with an e-mail address, a budget and an enforced limit."""
    settings = OperationsSettings(
        alarm_email="oncall@example.com",
        monthly_budget_usd=500,
        instance_hours_a_day=6,
        enforce_instance_hours=True,
        runbook_url="https://example.com/runbook",
    )
    environment = dataclasses.replace(find_environment("dev"), operations=settings)
    return synthesize(environment, tmp_path_factory.mktemp("watched"))


def test_an_address_is_subscribed_where_there_is_one(dev, watched):
    assert dev.operations.resources("AWS::SNS::Subscription") == []
    subscription = watched.operations.resource("AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "oncall@example.com")


def test_a_budget_tells_at_four_fifths_and_when_the_whole_is_forecast(dev, watched):
    assert dev.operations.resources("AWS::Budgets::Budget") == []
    budget = watched.operations.resource("AWS::Budgets::Budget")
    assert budget["Budget"]["BudgetLimit"] == {"Amount": 500, "Unit": "USD"}
    assert budget["Budget"]["CostFilters"] == {"TagKeyValue": ["user:Project$whisperstack"]}
    notifications = [each["Notification"] for each in budget["NotificationsWithSubscribers"]]
    told_at = [(each["NotificationType"], each["Threshold"]) for each in notifications]
    assert told_at == [("ACTUAL", 80), ("FORECASTED", 100)]


def test_the_cost_guard_may_scale_only_where_it_is_told_to_enforce(asynchronous, watched):
    assert asynchronous.allowed("CostGuardRole", "application-autoscaling:*") == []
    assert asynchronous.allowed("CostGuardRole", "sagemaker:UpdateEndpoint*") == []
    (target,) = watched.asynchronous.allowed("CostGuardRole", "application-autoscaling:*")
    assert target.endswith(":scalable-target/*")
    (endpoint,) = watched.asynchronous.allowed("CostGuardRole", "sagemaker:UpdateEndpoint*")
    assert ":endpoint/<Endpoint" in endpoint
    alarm = watched.asynchronous.resource(ALARM, "CostInstanceHours")
    assert (alarm["Threshold"], alarm["MetricName"]) == (6, "InstanceHoursToday")


def test_runbooks_may_lie_elsewhere(watched):
    alarm = watched.asynchronous.resource(ALARM, "AlarmsOldestRequest")
    assert alarm["AlarmDescription"].endswith("Runbook: https://example.com/runbook#oldest-request")


def test_a_forgotten_real_time_endpoint_raises_an_alarm_although_it_publishes_nothing_and_the_canary_uses_it(realtime):
    alarm = realtime.resource(ALARM, "EndpointIdleEndpoint")
    formula = next(each for each in alarm["Metrics"] if "Expression" in each)
    assert formula["Expression"] == "invocations - FILL(passed, 0) - FILL(failed, 0)"
    metrics = {name for _, name, *_ in watched_metrics(alarm)}
    assert metrics == {"Invocations", "CanariesPassed", "CanariesFailed"}
    assert (alarm["TreatMissingData"], alarm["ComparisonOperator"], alarm["Threshold"]) == ("breaching", "LessThanThreshold", 1)
    assert {period for *_, period in watched_metrics(alarm)} == {3600}
    assert alarm["EvaluationPeriods"] == 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alarm_email": "nobody"}, r"alarm_email is 'nobody'; it must be an e-mail address"),
        ({"monthly_budget_usd": 0}, r"monthly_budget_usd is 0; it must be 1 to"),
        ({"oldest_request_minutes": 360}, r"oldest_request_minutes is 360; it must be 5 to 350"),
        ({"instance_hours_a_day": 0}, r"instance_hours_a_day is 0; it must be 1 to 2400"),
        ({"instance_price_usd": -1}, r"instance_price_usd is -1"),
    ],
)
def test_operations_that_cannot_work_are_refused(change, message):
    with pytest.raises(ConfigurationError, match=message):
        OperationsSettings(**change)
