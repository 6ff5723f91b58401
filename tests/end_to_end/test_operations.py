"""What watches the deployed product, and what an operator does with it, as far as it runs here."""

import json
import subprocess
import sys

import pytest

from local.embedded_aws import PROJECT
from tests.end_to_end.test_pipeline import silence


def function_of(pipeline, package, endpoint):
    functions = pipeline.aws.client("lambda").list_functions()["Functions"]
    (name,) = [
        f["FunctionName"]
        for f in functions
        if f["Handler"].startswith(f"{package}.")
        and f["Environment"]["Variables"].get("WHISPERSTACK_ENDPOINT_NAME") == endpoint
    ]
    return name


def call(pipeline, package, endpoint, event):
    name = function_of(pipeline, package, endpoint)
    response = pipeline.aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    answer = response["Payload"].read()
    assert "FunctionError" not in response, answer
    return json.loads(answer)


CHANGED, SCHEDULED = {"detail-type": "SageMaker Endpoint State Change"}, {"detail-type": "Scheduled Event"}


def test_the_deployed_canary_hears_its_sample_whenever_the_endpoint_has_changed(pipeline):
    for _ in range(2):
        assert call(pipeline, "transcribe_canary", pipeline.deployment.endpoint_name, CHANGED) == "passed"


def test_the_deployed_canary_leaves_the_endpoint_alone_by_the_clock(pipeline):
    assert call(pipeline, "transcribe_canary", pipeline.deployment.endpoint_name, SCHEDULED) == "skipped"


@pytest.mark.parametrize("event", [CHANGED, SCHEDULED])
def test_the_deployed_canary_of_the_real_time_endpoint_hears_its_sample_at_any_time(pipeline, event):
    assert call(pipeline, "transcribe_canary", pipeline.deployment.realtime_endpoint_name, event) == "passed"


def test_the_deployed_cost_guards_count(pipeline):
    for name in (pipeline.deployment.endpoint_name, pipeline.deployment.realtime_endpoint_name):
        assert call(pipeline, "guard_cost", name, SCHEDULED) is None


def policies_of(pipeline, endpoint):
    resource = f"endpoint/{endpoint}/variant/Whisper"
    autoscaling = pipeline.aws.client("application-autoscaling")
    found = autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=resource)["ScalingPolicies"]
    targets = autoscaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[resource])["ScalableTargets"]
    assert len(targets) == 1
    return found


def test_the_endpoint_scales_on_its_backlog(pipeline):
    policies = policies_of(pipeline, pipeline.deployment.endpoint_name)
    alarms = pipeline.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    steps = {policy["PolicyARN"] for policy in policies if policy["PolicyType"] == "StepScaling"}
    assert len(policies) == 3
    assert steps <= {action for alarm in alarms for action in alarm["AlarmActions"]}


def test_an_operator_erases_an_upload_with_all_that_came_of_it(pipeline, eventually):
    source = pipeline.put("incoming/to-erase.wav", silence(1))
    end = pipeline.end_of(source)
    eventually(lambda: "announced_at" in pipeline.row(source))
    command = [sys.executable, "-m", "operations", "erase", source.key, "--env", "local", "--yes"]
    run = subprocess.run(command, cwd=PROJECT, env=pipeline.aws.environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    erased = {each["key"] for each in json.loads(run.stdout)["objects"]}
    raw = f"raw/{end.job_id}/1/transcript.json"
    kept = {f"versions/{end.job_id}.{suffix}" for suffix in end.outputs}
    assert erased == {source.key, f"staged/{end.job_id}", raw, *end.outputs.values(), *kept}
    assert json.loads(run.stdout)["rows"] == [end.job_id]
    assert pipeline.row(source) is None
    for bucket in (pipeline.deployment.audio_bucket, pipeline.deployment.transcripts_bucket):
        versions = pipeline.aws.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket)
        left = {each["Key"] for page in versions for name in ("Versions", "DeleteMarkers") for each in page.get(name, [])}
        assert not erased & left


def test_the_real_time_endpoint_scales_on_its_requests(pipeline):
    (policy,) = policies_of(pipeline, pipeline.deployment.realtime_endpoint_name)
    metric = policy["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"]
    assert metric["PredefinedMetricType"] == "SageMakerVariantConcurrentRequestsPerModelHighResolution"
