"""What watches the deployed product, and what an operator does with it, as far as it runs here."""

import json
import subprocess
import sys

from local.embedded_aws import PROJECT
from tests.end_to_end.test_pipeline import silence


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


def test_an_operator_erases_an_upload_with_all_that_came_of_it(pipeline, eventually):
    source = pipeline.put("incoming/to-erase.wav", silence(1))
    end = pipeline.end_of(source)
    eventually(lambda: "announced_at" in pipeline.row(source))
    command = [sys.executable, "-m", "operations", "erase", source.key, "--env", "local", "--yes"]
    run = subprocess.run(command, cwd=PROJECT, env=pipeline.aws.environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    erased = {each["key"] for each in json.loads(run.stdout)["objects"]}
    raw = f"raw/{end.job_id}/1/transcript.json"
    assert erased == {source.key, f"staged/{end.job_id}", raw, *end.outputs.values()}
    assert json.loads(run.stdout)["rows"] == [end.job_id]
    assert pipeline.row(source) is None
    for bucket in (pipeline.deployment.audio_bucket, pipeline.deployment.transcripts_bucket):
        versions = pipeline.aws.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket)
        left = {each["Key"] for page in versions for name in ("Versions", "DeleteMarkers") for each in page.get(name, [])}
        assert not erased & left
