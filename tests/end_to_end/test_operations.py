"""What watches the deployed product, as far as it runs here."""

import json


def function_of(pipeline, package):
    functions = pipeline.aws.client("lambda").list_functions()["Functions"]
    (name,) = [f["FunctionName"] for f in functions if f["Handler"].startswith(f"{package}.")]
    return name


def call(pipeline, package, event):
    response = pipeline.aws.client("lambda").invoke(FunctionName=function_of(pipeline, package), Payload=json.dumps(event))
    assert "FunctionError" not in response
    return json.loads(response["Payload"].read())


def test_the_deployed_canary_hears_its_sample_whenever_the_endpoint_has_changed(pipeline):
    for _ in range(2):
        assert call(pipeline, "transcribe_canary", {"detail-type": "SageMaker Endpoint State Change"}) == "passed"


def test_the_deployed_canary_leaves_the_endpoint_alone_by_the_clock(pipeline):
    assert call(pipeline, "transcribe_canary", {"detail-type": "Scheduled Event"}) == "skipped"


def test_the_deployed_cost_guard_counts(pipeline):
    assert call(pipeline, "guard_cost", {"detail-type": "Scheduled Event"}) is None


def test_the_endpoint_scales_on_its_backlog(pipeline):
    autoscaling = pipeline.aws.client("application-autoscaling")
    (target,) = autoscaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert target["ResourceId"] == f"endpoint/{pipeline.deployment.endpoint_name}/variant/Whisper"
    policies = autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    alarms = pipeline.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    steps = {policy["PolicyARN"] for policy in policies if policy["PolicyType"] == "StepScaling"}
    assert len(policies) == 3
    assert steps <= {action for alarm in alarms for action in alarm["AlarmActions"]}
