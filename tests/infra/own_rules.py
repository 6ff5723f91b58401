"""Rules of our own, where the rule packs are blind. Each takes the resources of a template and gives what breaks it."""

import json
import re

from infra.instances import InstanceType

_FUNCTION_LOOKS = frozenset({"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"})
_MODEL_LOOKS = _FUNCTION_LOOKS | {"ec2:DescribeDhcpOptions", "ec2:DescribeSecurityGroups", "ec2:DescribeVpcs"}

_LOG_DELIVERY = frozenset(
    {
        *("logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies"),
        *("logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery"),
    }
)

# Statements on '*' that cannot be narrower: (actions) → why.
ON_EVERYTHING = {
    frozenset({"xray:PutTraceSegments", "xray:PutTelemetryRecords"}): "X-Ray has no resource to be narrowed to",
    frozenset({"ecr:GetAuthorizationToken"}): "a registry's token has no resource to be narrowed to",
    frozenset({"cloudwatch:PutMetricData"}): "narrowed by namespace",
    frozenset({"cloudwatch:GetMetricStatistics"}): "reading a metric has no resource to be narrowed to",
    frozenset({"xray:GetSamplingRules", "xray:GetSamplingTargets"}): "X-Ray has no resource to be narrowed to",
    frozenset({"sagemaker:ListTransformJobs"}): "listing has no resource to be narrowed to",
    _LOG_DELIVERY: "log deliveries have no resource to be narrowed to",
    _FUNCTION_LOOKS: "EC2's descriptions have no resource to be narrowed to",
    _MODEL_LOOKS: "EC2's descriptions have no resource to be narrowed to",
}

# Names that a person or another resource must know beforehand: (type, property) → why.
PHYSICAL_NAMES = {
    ("AWS::SageMaker::Endpoint", "EndpointName"): "made from what replaces it; docs/decisions/0022",
    ("AWS::Logs::LogGroup", "LogGroupName"): "SageMaker writes into the group of that name",
    ("AWS::ApplicationAutoScaling::ScalingPolicy", "PolicyName"): "required, and unique below its target only",
    ("AWS::SSM::Parameter", "Name"): "callers find the endpoint's changing name under it",
}

_NAMES = {
    *("AlarmName", "BucketName", "DashboardName", "EndpointConfigName", "EndpointName", "FunctionName", "LogGroupName"),
    *("ManagedPolicyName", "ModelName", "Name", "PolicyName", "QueueName", "RoleName", "TableName", "TopicName"),
}
# Where the property names another resource, or is required and local to its parent.
_REFERENCES = {
    "AWS::EC2::FlowLog": "LogGroupName",
    "AWS::Lambda::EventSourceMapping": "FunctionName",
    "AWS::Lambda::Permission": "FunctionName",
    "AWS::SageMaker::Endpoint": "EndpointConfigName",
    "AWS::IAM::Policy": "PolicyName",
}


def of_type(resources, *types):
    return [(name, r.get("Properties", {})) for name, r in resources.items() if r["Type"] in types]


def network_isolation_on_every_model(resources):
    return [
        name for name, model in of_type(resources, "AWS::SageMaker::Model") if model.get("EnableNetworkIsolation") is not True
    ]


def images_by_full_tag_or_digest(resources):
    full = re.compile(r":[\w.]+-[\w.-]+-ubuntu[\d.]+|@sha256:[0-9a-f]{64}")
    models = of_type(resources, "AWS::SageMaker::Model")
    return [name for name, model in models if not full.search(json.dumps(model["PrimaryContainer"]["Image"]))]


def failure_path_key_and_both_topics_on_every_asynchronous_endpoint(resources):
    broken = []
    for name, config in of_type(resources, "AWS::SageMaker::EndpointConfig"):
        output = config.get("AsyncInferenceConfig", {}).get("OutputConfig")
        if output is None:
            continue
        topics = set(output.get("NotificationConfig", {}))
        if not {"S3OutputPath", "S3FailurePath", "KmsKeyId"} <= set(output) or topics != {"SuccessTopic", "ErrorTopic"}:
            broken.append(name)
    return broken


def a_host_version_on_every_gpu_variant(resources):
    return [
        name for name, variant, instance in _variants(resources) if instance.has_gpu and "InferenceAmiVersion" not in variant
    ]


def a_key_for_volumes_and_none_for_local_disks(resources):
    configs = dict(of_type(resources, "AWS::SageMaker::EndpointConfig"))
    return [name for name, _, instance in _variants(resources) if ("KmsKeyId" in configs[name]) is instance.has_local_disk]


def an_alarm_on_every_dead_letter_queue(resources):
    redriven = [
        p["RedrivePolicy"] for _, p in of_type(resources, "AWS::SQS::Queue", "AWS::SNS::Subscription") if "RedrivePolicy" in p
    ]
    queues = {_referred(policy["deadLetterTargetArn"]) for policy in redriven}
    for _, rule in of_type(resources, "AWS::Events::Rule"):
        queues |= {
            _referred(target["DeadLetterConfig"]["Arn"]) for target in rule.get("Targets", ()) if "DeadLetterConfig" in target
        }
    watched = {
        _referred(alarm["Dimensions"][0]["Value"])
        for _, alarm in of_type(resources, "AWS::CloudWatch::Alarm")
        if alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible" and alarm["Threshold"] == 1
    }
    return sorted(queues - watched)


def encrypted_logs_that_expire_for_every_function(resources):
    broken = []
    for name, function in of_type(resources, "AWS::Lambda::Function"):
        group = resources.get(_referred(function.get("LoggingConfig", {}).get("LogGroup", {})), {}).get("Properties", {})
        if not group.get("RetentionInDays") or "KmsKeyId" not in group:
            broken.append(name)
    return broken


def traces_of_every_function(resources):
    functions = of_type(resources, "AWS::Lambda::Function")
    return [name for name, function in functions if function.get("TracingConfig", {}).get("Mode") != "Active"]


def full_logs_without_data_traces_and_our_key_for_every_state_machine(resources):
    broken = []
    for name, machine in of_type(resources, "AWS::StepFunctions::StateMachine"):
        logs = machine.get("LoggingConfiguration", {})
        encryption = machine.get("EncryptionConfiguration", {})
        if (
            (logs.get("Level"), logs.get("IncludeExecutionData")) != ("ALL", False)
            or machine.get("TracingConfiguration") != {"Enabled": True}
            or (encryption.get("Type"), "KmsKeyId" in encryption) != ("CUSTOMER_MANAGED_KMS_KEY", True)
        ):
            broken.append(name)
    return broken


def no_managed_policies(resources):
    return [name for name, role in of_type(resources, "AWS::IAM::Role") if role.get("ManagedPolicyArns")]


def no_wildcard_in_an_action(resources):
    return [name for name, statement in _statements(resources) if any("*" in action for action in listed(statement["Action"]))]


def nothing_on_everything_without_a_reason(resources):
    broken = []
    for name, statement in _statements(resources):
        if "*" in listed(statement["Resource"]):
            actions = frozenset(listed(statement["Action"]))
            # The CDK merges statements that differ in their actions only.
            if frozenset().union(*(known for known in ON_EVERYTHING if known <= actions)) != actions:
                broken.append(name)
    return broken


def metrics_in_named_namespaces_only(resources):
    written = [(name, s) for name, s in _statements(resources) if "cloudwatch:PutMetricData" in listed(s["Action"])]
    return [name for name, statement in written if "cloudwatch:namespace" not in json.dumps(statement.get("Condition", {}))]


def no_physical_names_without_a_reason(resources):
    return [name for name, kind, prop in physical_names(resources) if (kind, prop) not in PHYSICAL_NAMES]


def physical_names(resources):
    """(logical id, type, property) of every name that a template gives."""
    return [
        (name, resource["Type"], prop)
        for name, resource in resources.items()
        for prop in _NAMES & set(resource.get("Properties", {}))
        if _REFERENCES.get(resource["Type"]) != prop
    ]


RULES = (
    network_isolation_on_every_model,
    images_by_full_tag_or_digest,
    failure_path_key_and_both_topics_on_every_asynchronous_endpoint,
    a_host_version_on_every_gpu_variant,
    a_key_for_volumes_and_none_for_local_disks,
    an_alarm_on_every_dead_letter_queue,
    encrypted_logs_that_expire_for_every_function,
    traces_of_every_function,
    full_logs_without_data_traces_and_our_key_for_every_state_machine,
    no_managed_policies,
    no_wildcard_in_an_action,
    nothing_on_everything_without_a_reason,
    metrics_in_named_namespaces_only,
    no_physical_names_without_a_reason,
)


def listed(value):
    return value if isinstance(value, list) else [value]


def _variants(resources):
    """(configuration, variant, instance type) of every instance type of every variant."""
    for name, config in of_type(resources, "AWS::SageMaker::EndpointConfig"):
        for variant in config["ProductionVariants"]:
            types = [pool["InstanceType"] for pool in variant.get("InstancePools", ())] or [variant["InstanceType"]]
            for each in types:
                yield name, variant, InstanceType.parse(each)


def _statements(resources):
    for name, policy in of_type(resources, "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for statement in policy["PolicyDocument"]["Statement"]:
            yield name, statement


def _referred(value):
    """The logical id that an intrinsic function refers to."""
    return value["Ref"] if "Ref" in value else value.get("Fn::GetAtt", [""])[0]
