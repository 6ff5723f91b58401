"""The real-time endpoint: scaled on requests, refusing what it cannot take, updated with care, found under one name."""

import dataclasses
import json

import pytest
from aws_cdk.aws_logs import RetentionDays

from infra.environments import Environment, find_environment
from infra.inference_options import RealtimeSettings, TrafficShift, UpdateSettings
from infra.instances import Hardware
from infra.scaling import ConcurrencyScalingSettings, OpeningHours
from tests.infra.synthesized import synthesize

CONFIG, ENDPOINT = "AWS::SageMaker::EndpointConfig", "AWS::SageMaker::Endpoint"
TARGET, POLICY = "AWS::ApplicationAutoScaling::ScalableTarget", "AWS::ApplicationAutoScaling::ScalingPolicy"
MODEL = {
    "engine": "pytorch",
    "model": "base",
    "hardware": Hardware.GPU,
    "instance_type": "ml.g5.xlarge",
    "max_audio_seconds": 60,
}


def environment(**realtime):
    return Environment(name="try", retain_data=False, log_retention=RetentionDays.ONE_WEEK, realtime=realtime)


def variant(template):
    (found,) = template.resource(CONFIG)["ProductionVariants"]
    return found


@pytest.fixture(scope="session")
def several(tmp_path_factory):
    """Two engines side by side, one of them with all that can be set."""
    settings = RealtimeSettings(
        **{**MODEL, "engine": "huggingface"},
        workers=2,
        alternatives=("ml.g6.xlarge", "ml.g4dn.xlarge"),
        queued_requests=5,
        captured_percent=20,
        payload_bytes=6_291_456,
        scaling=ConcurrencyScalingSettings(
            min_instances=4,
            max_instances=9,
            utilisation=0.5,
            hours=OpeningHours(timezone="Europe/Paris", instances_outside=2),
        ),
        updates=UpdateSettings(traffic=TrafficShift.LINEAR, step_percent=25, wait_seconds=600),
    )
    tree = environment(pytorch=RealtimeSettings(**MODEL), huggingface=settings)
    return synthesize(tree, tmp_path_factory.mktemp("several"))


@pytest.fixture(scope="session")
def full(several):
    return several.stacks["Realtime-huggingface"]


def test_engines_stand_side_by_side_each_in_a_stack_that_can_be_removed_alone(several):
    assert {name for name in several.stacks if name.startswith("Realtime")} == {"Realtime-pytorch", "Realtime-huggingface"}
    for template in several.templates:
        assert "Realtime" not in json.dumps([v for v in walk(template.body) if "Fn::ImportValue" in v])


def walk(value):
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from walk(each)
    elif isinstance(value, list):
        for each in value:
            yield from walk(each)


def test_instances_follow_the_requests_that_they_have_at_a_time_read_every_ten_seconds(realtime):
    tracking = realtime.resource(POLICY)["TargetTrackingScalingPolicyConfiguration"]
    metric = tracking["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert metric == "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    assert tracking["TargetValue"] == pytest.approx(0.7)
    assert (tracking["ScaleOutCooldown"], tracking["ScaleInCooldown"]) == (60, 300)
    assert "DisableScaleIn" not in tracking


def test_at_least_one_instance_stays(syntheses):
    for synthesis in syntheses.values():
        for name, template in synthesis.stacks.items():
            if name.startswith("Realtime"):
                assert template.resource(TARGET)["MinCapacity"] >= 1
                assert variant(template)["InitialInstanceCount"] >= 1


def test_a_request_goes_where_least_are_waiting_and_overload_is_refused_instead_of_queued(realtime, full):
    assert variant(realtime)["RoutingConfig"] == {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}
    told = realtime.resource("AWS::SageMaker::Model")["PrimaryContainer"]["Environment"]
    assert (told["MMS_JOB_QUEUE_SIZE"], told["MMS_DEFAULT_WORKERS_PER_MODEL"]) == ("2", "1")
    told_all = full.resource("AWS::SageMaker::Model")["PrimaryContainer"]["Environment"]
    assert told_all["MMS_JOB_QUEUE_SIZE"] == "5"
    assert (told_all["WHISPERSTACK_MAX_AUDIO_BYTES"], "WHISPERSTACK_MAX_AUDIO_BYTES" in told) == ("6291456", False)
    assert told_all["WHISPERSTACK_INFERENCE_OPTION"] == "real-time"


def test_nothing_that_is_said_to_it_is_kept(realtime):
    assert "DataCaptureConfig" not in realtime.resource(CONFIG)
    assert realtime.allowed("Model", "s3:PutObject") == []
    assert [arn.split(">")[1] for arn in realtime.allowed("Model", "s3:GetObject")] == [f"/models/{'0' * 64}/model.tar.gz"]


def test_what_is_captured_where_that_is_asked_for_is_encrypted_and_expires(full, several):
    capture = full.resource(CONFIG)["DataCaptureConfig"]
    assert (capture["EnableCapture"], capture["InitialSamplingPercentage"]) == (True, 20)
    assert {option["CaptureMode"] for option in capture["CaptureOptions"]} == {"Input", "Output"}
    assert "DataKey" in json.dumps(capture["KmsKeyId"])
    prefix = capture["DestinationS3Uri"]["Fn::Join"][1][-1]
    assert prefix == "/captured/"
    assert [arn.split(">")[1] for arn in full.allowed("Model", "s3:PutObject")] == [f"{prefix}*"]
    rules = several.storage.resource("AWS::S3::Bucket", "Transcripts")["LifecycleConfiguration"]["Rules"]
    (rule,) = [rule for rule in rules if rule.get("Prefix") == prefix.removeprefix("/")]
    assert rule["ExpirationInDays"] == 30


def test_scaling_is_set_by_the_environment(full):
    target = full.resource(TARGET)
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 9)
    assert full.resource(POLICY)["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 1.0


def test_outside_its_hours_an_endpoint_rests_at_the_few_instances_that_are_set(full, realtime):
    actions = {each["ScheduledActionName"]: each for each in full.resource(TARGET)["ScheduledActions"]}
    assert actions["close"]["ScalableTargetAction"] == {"MinCapacity": 2, "MaxCapacity": 2}
    assert actions["open"]["ScalableTargetAction"] == {"MinCapacity": 4, "MaxCapacity": 9}
    assert {each["Timezone"] for each in actions.values()} == {"Europe/Paris"}
    assert "ScheduledActions" not in realtime.resource(TARGET)


def test_other_instance_types_stand_by_in_order_of_preference(full, realtime):
    found = variant(full)
    assert "InstanceType" not in found
    assert [(pool["InstanceType"], pool["Priority"]) for pool in found["InstancePools"]] == [
        ("ml.g5.xlarge", 1),
        ("ml.g6.xlarge", 2),
        ("ml.g4dn.xlarge", 3),
    ]
    assert 300 <= found["VariantInstanceProvisionTimeoutInSeconds"] <= 3600
    assert "InstancePools" not in variant(realtime)


def test_an_update_keeps_the_instances_and_moves_requests_as_the_environment_says(syntheses, full):
    def policy(template):
        endpoint = template.resource(ENDPOINT)
        assert endpoint["RetainAllVariantProperties"] is True
        return endpoint["DeploymentConfig"]["BlueGreenUpdatePolicy"]

    assert policy(syntheses["staging"].realtime)["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"
    canary = policy(syntheses["prod"].realtime)["TrafficRoutingConfiguration"]
    assert (canary["Type"], canary["CanarySize"]) == ("CANARY", {"Type": "CAPACITY_PERCENT", "Value": 50})
    linear = policy(full)
    assert linear["TrafficRoutingConfiguration"]["LinearStepSize"] == {"Type": "CAPACITY_PERCENT", "Value": 25}
    waits = 4 * 600 + linear["TerminationWaitInSeconds"]
    assert waits < linear["MaximumExecutionTimeoutInSeconds"] <= 28_800


def test_server_errors_and_a_failed_canary_undo_an_update(realtime):
    endpoint = realtime.resource(ENDPOINT)
    names = [alarm["AlarmName"]["Ref"] for alarm in endpoint["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]]
    errors, canary = [realtime.body["Resources"][name]["Properties"] for name in names]
    watched = {each["MetricStat"]["Metric"]["MetricName"] for each in errors["Metrics"] if "MetricStat" in each}
    assert (watched, canary["MetricName"]) == ({"Invocation5XXErrors", "ConcurrentRequestsPerModel"}, "CanariesFailed")
    for alarm in (errors, canary):
        assert alarm["TreatMissingData"] == "notBreaching", "an alarm that has no data must not block an update"
        assert endpoint["EndpointName"] in json.dumps(alarm), "a reference would close a circle"


def formula(alarm):
    """Its expression, and by their names in it the metrics."""
    (expression,) = [each["Expression"] for each in alarm["Metrics"] if "Expression" in each]
    stats = {each["Id"]: each["MetricStat"] for each in alarm["Metrics"] if "MetricStat" in each}
    return expression, {name: (stat["Metric"]["MetricName"], stat["Stat"], stat["Period"]) for name, stat in stats.items()}


@pytest.mark.parametrize(("stack", "workers", "queued"), [("Realtime-pytorch", 1, 2), ("Realtime-huggingface", 2, 5)])
def test_server_errors_of_an_overloaded_endpoint_undo_no_update_and_are_told_as_overload(several, stack, workers, queued):
    template = several.stacks[stack]
    expression, metrics = formula(template.resource("AWS::CloudWatch::Alarm", "EndpointServerErrors"))
    assert expression == f"IF(FILL(atATime, 0) < {workers + queued}, errors, 0)"
    assert metrics["errors"] == ("Invocation5XXErrors", "Sum", 300)
    assert metrics["atATime"] == ("ConcurrentRequestsPerModel", "Maximum", 300)
    told = template.resource("AWS::SageMaker::Model")["PrimaryContainer"]["Environment"]
    assert (int(told["MMS_DEFAULT_WORKERS_PER_MODEL"]), int(told["MMS_JOB_QUEUE_SIZE"])) == (workers, queued)
    overloaded = template.resource("AWS::CloudWatch::Alarm", "EndpointOverloaded")
    assert (overloaded["MetricName"], overloaded["Threshold"]) == ("ConcurrentRequestsPerModel", workers + queued)


def test_a_canary_asks_by_the_clock_and_when_the_endpoint_changes_and_may_do_nothing_else(realtime):
    rules = [rule for rule in realtime.resources("AWS::Events::Rule") if "Canary" in json.dumps(rule["Targets"])]
    assert {"ScheduleExpression" in rule for rule in rules} == {True, False}
    function = realtime.resource("AWS::Lambda::Function", "Canary")
    assert "WHISPERSTACK_AUDIO_BUCKET" not in function["Environment"]["Variables"]
    (invoked,) = realtime.allowed("CanaryTranscribeRole", "sagemaker:InvokeEndpoint")
    assert ":endpoint/<Endpoint" in invoked
    assert realtime.allowed("CanaryTranscribeRole", "s3:*") == realtime.allowed("CanaryTranscribeRole", "kms:*") == []


def test_callers_find_the_endpoint_under_a_name_that_stays_when_its_instance_types_change(realtime, tmp_path):
    staging = find_environment("staging")
    other = dataclasses.replace(staging.realtime["main"], instance_type="ml.g6.xlarge")
    after = synthesize(dataclasses.replace(staging, realtime={"main": other}), tmp_path).realtime
    parameters = [template.resource("AWS::SSM::Parameter") for template in (realtime, after)]
    assert {parameter["Name"] for parameter in parameters} == {"/whisperstack/staging/realtime/main/endpoint-name"}
    assert "Fn::GetAtt" in parameters[0]["Value"]
    assert after.resource(ENDPOINT)["EndpointName"] != realtime.resource(ENDPOINT)["EndpointName"]


def test_a_policy_for_callers_lets_them_call_this_endpoint_and_look_up_its_name(realtime):
    statements = realtime.resource("AWS::IAM::ManagedPolicy")["PolicyDocument"]["Statement"]
    assert {statement["Action"] for statement in statements} == {"sagemaker:InvokeEndpoint", "ssm:GetParameter"}


def test_an_alarm_on_instance_hours_leaves_room_above_the_least_number_of_instances(syntheses):
    alarm = syntheses["prod"].realtime.resource("AWS::CloudWatch::Alarm", "CostInstanceHours")
    assert alarm["Threshold"] == 2 * 24 + 12


@pytest.mark.parametrize("hardware", ["local", "staging"])
def test_volumes_are_encrypted_by_our_key_or_by_the_hardware(syntheses, hardware):
    template = syntheses[hardware].realtime
    config, created = template.resource(CONFIG), template.allowed("Model", "kms:CreateGrant")
    assert ("KmsKeyId" in config, len(created)) == ((True, 1) if hardware == "local" else (False, 0))
    assert ("InferenceAmiVersion" in variant(template)) is (hardware == "staging")
