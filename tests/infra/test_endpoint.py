"""The model and its asynchronous endpoint: what they run on, what they may touch, what changes with a release."""

import dataclasses
import json
import re

import pytest

from infra.environments import Environment, find_environment
from model_build.catalogue import SIZES
from tests.infra.synthesized import ROOT, synthesize

DIGEST = "0" * 64


@pytest.fixture
def container(asynchronous):
    return asynchronous.resource("AWS::SageMaker::Model")["PrimaryContainer"]


def config(synthesis):
    return synthesis.asynchronous.resource("AWS::SageMaker::EndpointConfig")


def test_the_container_has_no_network(asynchronous):
    assert asynchronous.resource("AWS::SageMaker::Model")["EnableNetworkIsolation"] is True


def test_the_container_runs_the_released_archive_in_the_image_of_its_region(container):
    assert f"/models/{DIGEST}/model.tar.gz" in json.dumps(container["ModelDataUrl"])
    assert container["Mode"] == "SingleModel"
    image = json.dumps(container["Image"])
    assert "Fn::FindInMap" in image
    assert "huggingface-pytorch-inference:2.6.0-transformers5.5.3-gpu-py312-cu124-ubuntu22.04" in image


def test_the_container_knows_its_digest_and_the_longest_recording(container):
    assert container["Environment"]["WHISPERSTACK_MODEL_DIGEST"] == DIGEST
    assert container["Environment"]["WHISPERSTACK_MAX_AUDIO_SECONDS"] == str(4 * 3600)


def test_the_model_is_created_after_its_role_may_read_archive_and_image(asynchronous):
    (model,) = [r for r in asynchronous.body["Resources"].values() if r["Type"] == "AWS::SageMaker::Model"]
    policies = [
        i for i, r in asynchronous.body["Resources"].items() if r["Type"] == "AWS::IAM::Policy" and i.startswith("Model")
    ]
    assert sorted(model["DependsOn"]) == sorted(policies)
    assert len(policies) == 2


def test_the_role_reads_this_release_and_staged_recordings_and_nothing_else(asynchronous):
    readable = asynchronous.allowed("Model", "s3:GetObject")
    assert [arn.split(">")[1] for arn in readable] == ["/staged/*", f"/models/{DIGEST}/model.tar.gz"]
    assert asynchronous.allowed("Model", "s3:ListBucket") == []


def test_the_role_writes_raw_output_and_failures_and_nothing_else(asynchronous):
    assert [arn.split(">")[1] for arn in asynchronous.allowed("Model", "s3:PutObject")] == ["/failures/*", "/raw/*"]
    assert asynchronous.allowed("Model", "s3:Delete*") == []


def test_the_role_publishes_on_the_endpoints_two_topics_only(asynchronous):
    topics = asynchronous.allowed("Model", "sns:*")
    assert len(topics) == 2
    assert all(topic.startswith("<Endpoint") for topic in topics)


def test_the_role_pulls_one_repository(asynchronous):
    (repository,) = asynchronous.allowed("Model", "ecr:BatchGetImage")
    assert repository.endswith(":repository/huggingface-pytorch-inference")


def test_metrics_are_narrowed_by_namespace(asynchronous):
    (statement,) = [s for s in asynchronous.statements("Model") if s["Action"] == "cloudwatch:PutMetricData"]
    assert statement["Condition"]["StringEquals"]["cloudwatch:namespace"] == ["/aws/sagemaker/Endpoints", "AWS/SageMaker"]


def test_results_failures_and_notifications_go_where_the_pipeline_looks_for_them(dev):
    output = config(dev)["AsyncInferenceConfig"]["OutputConfig"]
    assert json.dumps(output["S3OutputPath"]).endswith('"/raw/"]]}')
    assert json.dumps(output["S3FailurePath"]).endswith('"/failures/"]]}')
    assert output["NotificationConfig"]["SuccessTopic"] != output["NotificationConfig"]["ErrorTopic"]
    assert "DataKey" in json.dumps(output["KmsKeyId"])


@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_an_instance_gets_as_many_requests_at_a_time_as_it_has_workers(syntheses, environment):
    client = config(syntheses[environment])["AsyncInferenceConfig"]["ClientConfig"]
    model = syntheses[environment].asynchronous.resource("AWS::SageMaker::Model")
    workers = int(model["PrimaryContainer"]["Environment"]["MMS_DEFAULT_WORKERS_PER_MODEL"])
    assert client["MaxConcurrentInvocationsPerInstance"] == workers == find_environment(environment).asynchronous.workers


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_gpu_instances_get_a_host_with_drivers_for_the_image_and_no_key_for_their_local_disk(syntheses, environment):
    (variant,) = config(syntheses[environment])["ProductionVariants"]
    assert variant["InferenceAmiVersion"] == "al2-ami-sagemaker-inference-gpu-3-1"
    assert "KmsKeyId" not in config(syntheses[environment])
    assert syntheses[environment].asynchronous.allowed("Model", "kms:CreateGrant") == []


def test_cpu_instances_get_the_default_host_and_an_encrypted_volume(syntheses):
    (variant,) = config(syntheses["local"])["ProductionVariants"]
    assert "InferenceAmiVersion" not in variant
    assert "DataKey" in json.dumps(config(syntheses["local"])["KmsKeyId"])
    assert len(syntheses["local"].asynchronous.allowed("Model", "kms:CreateGrant")) == 1


def test_an_update_does_not_carry_an_instance_count_of_zero_over(asynchronous):
    assert asynchronous.resource("AWS::SageMaker::Endpoint")["RetainAllVariantProperties"] is False
    (variant,) = asynchronous.resource("AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    assert (variant["VariantName"], variant["InitialInstanceCount"]) == ("Whisper", 1)


def test_models_and_configurations_which_updates_replace_have_no_physical_name(asynchronous):
    for kind, name in [("Model", "ModelName"), ("EndpointConfig", "EndpointConfigName")]:
        assert name not in asynchronous.resource(f"AWS::SageMaker::{kind}")


def name_and_variant(template):
    (variant,) = template.resource("AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    return template.resource("AWS::SageMaker::Endpoint")["EndpointName"], variant["VariantName"]


def test_another_instance_type_makes_another_endpoint_as_a_scaled_variant_cannot_change_its_type(dev, tmp_path):
    environment = find_environment("dev")
    settings = dataclasses.replace(environment.asynchronous, instance_type="ml.g5.2xlarge")
    after = synthesize(dataclasses.replace(environment, asynchronous=settings), tmp_path).asynchronous
    (name, variant), (other_name, other_variant) = name_and_variant(dev.asynchronous), name_and_variant(after)
    assert (name != other_name, variant == other_variant) == (True, True)


def test_a_new_release_keeps_the_endpoint_and_its_variants_name(dev, release_changed):
    assert name_and_variant(release_changed.asynchronous) == name_and_variant(dev.asynchronous)


def test_the_endpoints_name_fits(syntheses):
    for synthesis in syntheses.values():
        # Source: SageMaker API model, EndpointName (botocore 1.44.5).
        name, _ = name_and_variant(synthesis.asynchronous)
        assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name)
        assert name == name.lower(), "its ARN is in lower case, and grants are made on the ARN"


def test_an_update_shifts_all_at_once_and_leaves_the_old_instances_an_hour_for_what_they_have_begun(asynchronous):
    policy = asynchronous.resource("AWS::SageMaker::Endpoint")["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    traffic = policy["TrafficRoutingConfiguration"]
    assert (traffic["Type"], policy["TerminationWaitInSeconds"]) == ("ALL_AT_ONCE", 3600)
    waits = traffic["WaitIntervalInSeconds"] + policy["TerminationWaitInSeconds"]
    assert waits < policy["MaximumExecutionTimeoutInSeconds"] <= 28800


def test_server_errors_and_a_failed_canary_undo_an_update(asynchronous):
    endpoint = asynchronous.resource("AWS::SageMaker::Endpoint")
    names = [alarm["AlarmName"]["Ref"] for alarm in endpoint["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]]
    watching = [asynchronous.body["Resources"][name]["Properties"] for name in names]
    assert [alarm["MetricName"] for alarm in watching] == ["Invocation5XXErrors", "CanariesFailed"]
    for alarm in watching:
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
        assert dimensions["EndpointName"] == endpoint["EndpointName"], "a reference would close a circle"
        assert alarm["TreatMissingData"] == "notBreaching", "an alarm that has no data must not block an update"


def test_instances_have_the_time_that_the_largest_model_needs_to_be_there(syntheses):
    """At 5 MB a second, a fraction of what S3 gives an instance, and as much again for unpacking."""
    largest = max(size.state_bytes for size in SIZES)
    for synthesis in syntheses.values():
        for template in synthesis.templates:
            for config in template.resources("AWS::SageMaker::EndpointConfig"):
                (variant,) = config["ProductionVariants"]
                # Source: CreateEndpointConfig API: both at most an hour.
                assert largest / 5e6 <= variant["ModelDataDownloadTimeoutInSeconds"] <= 3600
                assert 300 <= variant["ContainerStartupHealthCheckTimeoutInSeconds"] <= 3600


@pytest.mark.parametrize("stack", ["asynchronous", "realtime"])
def test_containers_log_into_a_group_that_is_encrypted_forgets_and_goes_with_the_endpoint(syntheses, stack):
    template = getattr(syntheses["staging"], stack)
    (name, group), *none = [
        (name, resource)
        for name, resource in template.body["Resources"].items()
        if resource["Type"] == "AWS::Logs::LogGroup" and "LogGroupName" in resource["Properties"]
    ]
    assert none == []
    endpoint = next(r for r in template.body["Resources"].values() if r["Type"] == "AWS::SageMaker::Endpoint")
    assert group["Properties"]["LogGroupName"] == f"/aws/sagemaker/Endpoints/{endpoint['Properties']['EndpointName']}"
    assert group["Properties"]["RetentionInDays"] == 90
    assert "DataKey" in json.dumps(group["Properties"]["KmsKeyId"])
    assert group["DeletionPolicy"] == "Delete"
    assert name in endpoint["DependsOn"], "what it writes must find the group, and it writes until it is gone"


@pytest.fixture(scope="session")
def release_changed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    manifest = json.loads((ROOT / "infra" / "example-release.json").read_text())
    changed = folder / "release.json"
    changed.write_text(json.dumps({**manifest, "digest": "a" * 64}))
    return synthesize(find_environment("dev"), folder / "out", changed)


def test_a_new_release_leaves_the_role_able_to_read_the_previous_one_until_the_update_is_through(dev, release_changed):
    after = release_changed
    policies = [
        {logical_id for logical_id in template.body["Resources"] if logical_id.startswith("ModelRelease")}
        for template in (dev.asynchronous, after.asynchronous)
    ]
    assert len(policies[0]) == len(policies[1]) == 1
    assert not policies[0] & policies[1], "the same logical id would take the old digest away before the endpoint is updated"
    assert "a" * 64 in json.dumps(after.asynchronous.resource("AWS::SageMaker::Model")["PrimaryContainer"]["ModelDataUrl"])


def test_outputs_tell_which_release_is_deployed(asynchronous):
    outputs = asynchronous.body["Outputs"]
    assert outputs["ModelDigest"]["Value"] == DIGEST
    assert outputs["ModelIsExample"]["Value"] == "true"
    assert "EndpointName" in json.dumps(outputs["EndpointName"]["Value"])


def test_a_region_without_the_image_is_refused_at_synthesis(tmp_path):
    there: Environment = dataclasses.replace(find_environment("dev"), region="mx-central-1", account="123456789012")
    with pytest.raises(Exception, match=r"'mx-central-1'.*eu-west-1"):
        synthesize(there, tmp_path)
