"""Rules of our own, for every template of every environment, where the rule packs are blind."""

import json
import re

import pytest

from infra.instances import InstanceType

# Statements on '*' that cannot be narrower: (actions) → why.
ON_EVERYTHING = {
    frozenset({"xray:PutTraceSegments", "xray:PutTelemetryRecords"}): "X-Ray has no resource to be narrowed to",
    frozenset({"ecr:GetAuthorizationToken"}): "a registry's token has no resource to be narrowed to",
    frozenset({"cloudwatch:PutMetricData"}): "narrowed by namespace",
    frozenset({"cloudwatch:GetMetricStatistics"}): "reading a metric has no resource to be narrowed to",
}

# Names that a person or another resource must know beforehand: (type, property) → why.
PHYSICAL_NAMES = {
    ("AWS::SageMaker::Endpoint", "EndpointName"): "made from what replaces it; docs/decisions/0022",
    ("AWS::ApplicationAutoScaling::ScalingPolicy", "PolicyName"): "required, and unique below its target only",
}

FROZEN = {
    "DataKey2A0DE9E6": "AWS::KMS::Key",
    "AccessLogsBucketCD784A59": "AWS::S3::Bucket",
    "AudioBucket3176805C": "AWS::S3::Bucket",
    "TranscriptsBucket790D2BE6": "AWS::S3::Bucket",
    "ModelsBucket970C6ADA": "AWS::S3::Bucket",
    "JobsTable10C8EDF6": "AWS::DynamoDB::Table",
    "AnnouncementsTopic8CED003D": "AWS::SNS::Topic",
}
_STATEFUL = {"AWS::S3::Bucket", "AWS::KMS::Key", "AWS::DynamoDB::Table", "AWS::SNS::Topic"}


@pytest.fixture(scope="session")
def every(syntheses):
    """Lists (logical id, properties) of every resource of a type, in every environment."""

    def listed(*types):
        return [
            (f"{synthesis.name}: {logical_id}", resource.get("Properties", {}), resource["Type"])
            for synthesis in syntheses.values()
            for template in synthesis.templates
            for logical_id, resource in template.body["Resources"].items()
            if not types or resource["Type"] in types
        ]

    return listed


def statements(properties):
    return properties.get("PolicyDocument", {}).get("Statement", [])


def listed(value):
    return value if isinstance(value, list) else [value]


def test_every_model_is_isolated_from_the_network(every):
    models = every("AWS::SageMaker::Model")
    assert models
    assert [name for name, model, _ in models if model.get("EnableNetworkIsolation") is not True] == []


def test_every_image_is_named_by_a_full_tag_or_a_digest(every):
    for name, model, _ in every("AWS::SageMaker::Model"):
        image = json.dumps(model["PrimaryContainer"]["Image"])
        assert re.search(r":[\w.]+-[\w.-]+-ubuntu[\d.]+|@sha256:[0-9a-f]{64}", image), f"{name}: {image}"


def test_every_asynchronous_endpoint_tells_of_success_and_failure_and_keeps_what_failed(every):
    outputs = [
        (name, config["AsyncInferenceConfig"]["OutputConfig"])
        for name, config, _ in every("AWS::SageMaker::EndpointConfig")
        if "AsyncInferenceConfig" in config
    ]
    assert outputs
    for name, output in outputs:
        assert {"S3OutputPath", "S3FailurePath", "KmsKeyId"} <= set(output), name
        assert {"SuccessTopic", "ErrorTopic"} == set(output["NotificationConfig"]), name


def test_gpu_variants_name_their_hosts_version_and_local_disks_get_no_key(every):
    for name, config, _ in every("AWS::SageMaker::EndpointConfig"):
        for variant in config["ProductionVariants"]:
            instance = InstanceType.parse(variant["InstanceType"])
            assert ("InferenceAmiVersion" in variant) or not instance.has_gpu, name
            assert ("KmsKeyId" in config) is not instance.has_local_disk, name


def test_every_function_logs_into_a_group_that_forgets(syntheses):
    for synthesis in syntheses.values():
        for template in synthesis.templates:
            for function in template.resources("AWS::Lambda::Function"):
                group = template.body["Resources"][function["LoggingConfig"]["LogGroup"]["Ref"]]["Properties"]
                assert group["RetentionInDays"] > 0
                assert "KmsKeyId" in group


def test_every_function_is_traced(every):
    assert {function["TracingConfig"]["Mode"] for _, function, _ in every("AWS::Lambda::Function")} == {"Active"}


def test_roles_have_no_managed_policy(every):
    assert [name for name, role, _ in every("AWS::IAM::Role") if role.get("ManagedPolicyArns")] == []


def test_nothing_is_allowed_on_everything_without_a_reason(every):
    used = set()
    for name, properties, _ in every("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for statement in statements(properties):
            assert not [a for a in listed(statement["Action"]) if "*" in a], name
            if "*" in listed(statement["Resource"]):
                actions = frozenset(listed(statement["Action"]))
                # The CDK merges statements that differ in their actions only.
                reasons = {known for known in ON_EVERYTHING if known <= actions}
                assert frozenset().union(*reasons) == actions, name
                used |= reasons
    assert used == set(ON_EVERYTHING), "take out what nothing uses any more"


def test_metrics_may_be_written_in_named_namespaces_only(every):
    for name, properties, _ in every("AWS::IAM::Policy"):
        for statement in statements(properties):
            if "cloudwatch:PutMetricData" in listed(statement["Action"]):
                assert "cloudwatch:namespace" in json.dumps(statement["Condition"]), name


def test_nothing_has_a_physical_name_without_a_reason(every):
    names = {
        "AlarmName",
        "BucketName",
        "DashboardName",
        "EndpointConfigName",
        "EndpointName",
        "FunctionName",
        "LogGroupName",
        "ManagedPolicyName",
        "ModelName",
        "Name",
        "PolicyName",
        "QueueName",
        "RoleName",
        "TableName",
        "TopicName",
    }
    # Where the property names another resource, or is required and local to its parent.
    references = {
        "AWS::Lambda::EventSourceMapping": "FunctionName",
        "AWS::Lambda::Permission": "FunctionName",
        "AWS::SageMaker::Endpoint": "EndpointConfigName",
        "AWS::IAM::Policy": "PolicyName",
    }
    found = {
        (kind, name) for _, properties, kind in every() for name in names & set(properties) if references.get(kind) != name
    }
    assert found == set(PHYSICAL_NAMES)


def test_the_logical_ids_of_what_holds_data_never_change(storage):
    """Another id would make an empty resource and, where data is not retained, delete the full one."""
    held = {name: r["Type"] for name, r in storage.body["Resources"].items() if r["Type"] in _STATEFUL}
    assert held == FROZEN
