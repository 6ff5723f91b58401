"""Every template of every environment keeps our own rules, and each rule finds what breaks it."""

import copy

import pytest

from tests.infra import own_rules
from tests.infra.own_rules import ON_EVERYTHING, PHYSICAL_NAMES, RULES, listed, of_type, physical_names

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
def everything(everywhere):
    """The resources of every template."""
    return [template.body["Resources"] for synthesis in everywhere.values() for template in synthesis.templates]


@pytest.mark.parametrize("rule", RULES)
def test_every_template_keeps_the_rule(everywhere, rule):
    broken = {
        f"{environment}: {name}"
        for environment, synthesis in everywhere.items()
        for template in synthesis.templates
        for name in rule(template.body["Resources"])
    }
    assert broken == set()


def _statement(resources, action="s3:GetObject"):
    policies = of_type(resources, "AWS::IAM::Policy")
    return next(s for _, p in policies for s in p["PolicyDocument"]["Statement"] if action in listed(s["Action"]))


def _first(resources, kind):
    return of_type(resources, f"AWS::{kind}")[0][1]


# rule → a small change that breaks it: of the batch stack if that is about state machines, else of the asynchronous one.
BREAKAGES = {
    "network_isolation_on_every_model": lambda r: _first(r, "SageMaker::Model").pop("EnableNetworkIsolation"),
    "images_by_full_tag_or_digest": lambda r: _first(r, "SageMaker::Model")["PrimaryContainer"].update(Image="image:latest"),
    "failure_path_key_and_both_topics_on_every_asynchronous_endpoint": lambda r: _first(r, "SageMaker::EndpointConfig")[
        "AsyncInferenceConfig"
    ]["OutputConfig"].pop("S3FailurePath"),
    "a_host_version_on_every_gpu_variant": lambda r: _first(r, "SageMaker::EndpointConfig")["ProductionVariants"][0].pop(
        "InferenceAmiVersion"
    ),
    "a_key_for_volumes_and_none_for_local_disks": lambda r: _first(r, "SageMaker::EndpointConfig").update(KmsKeyId="key"),
    "an_alarm_on_every_dead_letter_queue": lambda r: r.pop(
        next(n for n, a in of_type(r, "AWS::CloudWatch::Alarm") if a["MetricName"] == "ApproximateNumberOfMessagesVisible")
    ),
    "encrypted_logs_that_expire_for_every_function": lambda r: [
        group.pop("RetentionInDays") for _, group in of_type(r, "AWS::Logs::LogGroup")
    ],
    "traces_of_every_function": lambda r: _first(r, "Lambda::Function").pop("TracingConfig"),
    "full_logs_without_data_traces_and_our_key_for_every_state_machine": lambda r: _first(r, "StepFunctions::StateMachine")[
        "LoggingConfiguration"
    ].update(IncludeExecutionData=True),
    "no_managed_policies": lambda r: _first(r, "IAM::Role").update(
        ManagedPolicyArns=["arn:aws:iam::aws:policy/ReadOnlyAccess"]
    ),
    "no_wildcard_in_an_action": lambda r: _statement(r).update(Action="s3:*"),
    "nothing_on_everything_without_a_reason": lambda r: _statement(r).update(Resource="*"),
    "metrics_in_named_namespaces_only": lambda r: _statement(r, "cloudwatch:PutMetricData").pop("Condition"),
    "no_physical_names_without_a_reason": lambda r: _first(r, "SQS::Queue").update(QueueName="work"),
}


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_finds_what_breaks_it(dev, rule):
    template = dev.batch if "state_machine" in rule.__name__ else dev.asynchronous
    resources = copy.deepcopy(template.body["Resources"])
    assert rule(resources) == []
    BREAKAGES[rule.__name__](resources)
    assert rule(resources) != []


def test_what_is_allowed_on_everything_and_what_has_a_name_is_still_there(everything):
    """An exception that nothing needs any more would let the next one through."""
    statements = [
        statement
        for resources in everything
        for _, policy in of_type(resources, "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        for statement in policy["PolicyDocument"]["Statement"]
        if "*" in listed(statement["Resource"])
    ]
    used = {known for known in ON_EVERYTHING for s in statements if known <= frozenset(listed(s["Action"]))}
    assert used == set(ON_EVERYTHING)
    assert {(kind, prop) for resources in everything for _, kind, prop in physical_names(resources)} == set(PHYSICAL_NAMES)


def test_every_rule_is_on_the_list_and_the_templates_have_what_it_is_about(everything):
    public = {name for name, value in vars(own_rules).items() if callable(value) and not name.startswith("_")}
    assert {rule.__name__ for rule in RULES} == public - {"of_type", "listed", "physical_names", "InstanceType"}
    kinds = {resource["Type"] for resources in everything for resource in resources.values()}
    assert {"AWS::SageMaker::Model", "AWS::SageMaker::EndpointConfig", "AWS::Lambda::Function", "AWS::SQS::Queue"} <= kinds


def test_the_logical_ids_of_what_holds_data_never_change(storage):
    """Another id would make an empty resource and, where data is not retained, delete the full one."""
    held = {name: r["Type"] for name, r in storage.body["Resources"].items() if r["Type"] in _STATEFUL}
    assert held == FROZEN
