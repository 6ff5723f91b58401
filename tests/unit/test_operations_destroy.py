"""`python -m operations destroy`: an environment goes with all that costs money; one that keeps its data keeps all of it."""

import json
from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from typer.testing import CliRunner

from operations.cli import app
from operations.errors import OperationsError
from operations.teardown import Teardown, find_stacks
from tests.unit.pipeline import REGION

STORAGE, USING, BATCH, OTHER = (
    *(f"Whisperstack-dev-{name}" for name in ("Storage", "Asynchronous", "Batch")),
    "Whisperstack-dev2-Storage",
)


def storage(name, policy):
    bucket = {"Type": "AWS::S3::Bucket", "DeletionPolicy": policy}
    topic = {"Type": "AWS::SNS::Topic", "DeletionPolicy": policy}
    outputs = {"Exported": {"Value": {"Ref": "Topic"}, "Export": {"Name": f"{name}:Topic"}}}
    return {"Resources": {"AudioBucket": bucket, "AccessLogsBucket": bucket, "Topic": topic}, "Outputs": outputs}


USES_STORAGE = {
    "Resources": {
        "Parameter": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Name": "topic", "Type": "String", "Value": {"Fn::ImportValue": f"{STORAGE}:Topic"}},
        }
    }
}


@pytest.fixture
def deploy(monkeypatch):
    """Deploys storage, with a policy for its deletion, and what uses it; returns the names of storage's buckets."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)

    def stacks(policy="Delete", *, protected=False):
        cloudformation, s3 = boto3.client("cloudformation"), boto3.client("s3")
        templates = {STORAGE: storage(STORAGE, policy), USING: USES_STORAGE, OTHER: storage(OTHER, "Delete")}
        for name, template in templates.items():
            options = {"EnableTerminationProtection": protected and name == STORAGE}
            cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template), **options)
        resources = cloudformation.describe_stack_resources(StackName=STORAGE)["StackResources"]
        buckets = [each["PhysicalResourceId"] for each in resources if each["ResourceType"] == "AWS::S3::Bucket"]
        for bucket in buckets:
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            for body in (b"first", b"second"):
                s3.put_object(Bucket=bucket, Key="incoming/talk.mp3", Body=body)
            s3.delete_object(Bucket=bucket, Key="incoming/talk.mp3")
        return buckets

    # A new session for every mock would read every service model again.
    with mock_aws(config={"core": {"reset_boto3_session": False}}):
        yield stacks


def deployed():
    return {stack["StackName"] for stack in boto3.client("cloudformation").describe_stacks()["Stacks"]}


def buckets_left():
    return {bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]}


def run(*arguments, answer=None):
    return CliRunner().invoke(app, ["destroy", "--env", "dev", *arguments], input=answer, catch_exceptions=False)


def test_an_environment_goes_with_every_version_in_its_buckets_and_its_namesake_stays(deploy):
    buckets = deploy()
    ended = run(answer="dev\n")
    assert ended.exit_code == 0, ended.stderr
    assert deployed() == {OTHER}
    assert not set(buckets) & buckets_left()
    assert "6 object versions" in ended.stderr
    assert "Nothing of dev is left that costs money." in ended.stderr


def test_stacks_go_after_those_that_need_them(deploy):
    deploy()
    cloudformation = boto3.client("cloudformation")
    waves = Teardown("dev", find_stacks(cloudformation, "dev"), {}).waves
    assert [[stack.name for stack in wave] for wave in waves] == [[USING], [STORAGE]]


@pytest.mark.parametrize(
    ("policy", "protected", "why"), [("Retain", False, "it retains Bucket, Topic"), ("Delete", True, "prot")]
)
def test_what_keeps_its_data_stays_in_full_and_the_rest_goes(deploy, policy, protected, why):
    buckets = deploy(policy, protected=protected)
    ended = run("--yes")
    assert ended.exit_code == 0, ended.stderr
    assert deployed() == {STORAGE, OTHER}
    for bucket in buckets:
        listed = boto3.client("s3").list_object_versions(Bucket=bucket)
        assert (len(listed["Versions"]), len(listed["DeleteMarkers"])) == (2, 1)
    assert f"stays  {STORAGE}: " in ended.stderr
    assert why in ended.stderr


@pytest.mark.parametrize("answer", ["yes\n", "prod\n"])
def test_only_the_environments_name_is_an_answer(deploy, answer):
    deploy()
    before = buckets_left()
    ended = run(answer=answer)
    assert (ended.exit_code, deployed(), buckets_left()) == (2, {STORAGE, USING, OTHER}, before)
    assert "is not 'dev'; nothing was done" in ended.stderr


def test_a_dry_run_shows_what_would_go_and_does_nothing(deploy):
    deploy()
    before = buckets_left()
    ended = run("--dry-run")
    assert (ended.exit_code, deployed(), buckets_left()) == (0, {STORAGE, USING, OTHER}, before)
    assert f"goes   {STORAGE}, with everything in its 2 buckets" in ended.stderr
    assert f"goes   {USING}\n" in ended.stderr


def test_an_environment_that_is_not_deployed_is_a_sentence(deploy):  # noqa: ARG001  # the account must be there
    ended = run("--yes")
    assert ended.exit_code == 2
    assert "no stack Whisperstack-dev-… is in this account and region" in ended.stderr


def test_a_stack_whose_first_deployment_failed_early_goes_like_any_other(deploy):
    """In review it has no resources; whichever way CloudFormation then says so."""
    deploy()
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_change_set(
        StackName=BATCH, ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=json.dumps(USES_STORAGE)
    )
    assert cloudformation.describe_stacks(StackName=BATCH)["Stacks"][0]["StackStatus"] == "REVIEW_IN_PROGRESS"
    shown = run("--dry-run")
    assert (shown.exit_code, f"goes   {BATCH}, which has nothing in it" in shown.stderr) == (0, True), shown.stderr
    assert run("--yes").exit_code == 0
    assert deployed() == {OTHER}


@pytest.mark.parametrize("answer", [{}, {"TemplateBody": "{}"}, None])
def test_a_stack_without_a_template_has_nothing_to_keep(deploy, answer):
    deploy()
    cloudformation = boto3.client("cloudformation")
    (storage,) = [each for each in cloudformation.describe_stacks()["Stacks"] if each["StackName"] == STORAGE]
    with Stubber(cloudformation) as stub:
        stub.add_response("describe_stacks", {"Stacks": [storage]})
        if answer is None:
            stub.add_client_error("get_template", "ValidationError", "Stack has no template", 400)
        else:
            stub.add_response("get_template", answer)
        stub.add_response("list_stack_resources", {"StackResourceSummaries": []})
        (found,) = find_stacks(cloudformation, "dev")
    assert (found.retained, found.keeps_data) == ([], False)


def test_resources_whose_template_cannot_be_read_are_left_alone(deploy):
    deploy("Retain")
    cloudformation = boto3.client("cloudformation")
    stacks = cloudformation.describe_stacks()["Stacks"]
    listed = cloudformation.list_stack_resources(StackName=STORAGE)["StackResourceSummaries"]
    with Stubber(cloudformation) as stub:
        stub.add_response("describe_stacks", {"Stacks": [each for each in stacks if each["StackName"] == STORAGE]})
        stub.add_response("get_template", {})
        stub.add_response("list_stack_resources", {"StackResourceSummaries": listed})
        with pytest.raises(OperationsError, match=r"no template of Whisperstack-dev-Storage, so what it keeps is not known"):
            find_stacks(cloudformation, "dev")


def test_a_bucket_that_is_gone_counts_as_emptied(deploy):
    """As another run removes it. moto cannot delete such a stack, so S3's answer is put in its place."""
    first, _ = deploy()
    clients = {service: boto3.client(service) for service in ("cloudformation", "s3")}
    answer = {"Error": {"Code": "NoSuchBucket", "Message": "The specified bucket does not exist"}}
    clients["s3"].meta.events.register(
        "before-call.s3.ListObjectVersions",
        lambda params, **_: (SimpleNamespace(status_code=404), answer) if first in params["url"] else None,
    )
    teardown = Teardown("dev", find_stacks(clients["cloudformation"], "dev"), clients)
    assert [sum(teardown.delete_with_contents(wave)) for wave in teardown.waves] == [0, 3]
    assert deployed() == {OTHER}


def test_logs_of_containers_that_were_made_again_go_and_those_of_others_stay(deploy):
    deploy()
    logs = boto3.client("logs")
    for environment in ("dev", "dev2"):
        logs.create_log_group(logGroupName=f"/aws/sagemaker/Endpoints/whisperstack-{environment}-asynchronous-0a1b2c3d")
    run("--yes")
    left = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    assert left == ["/aws/sagemaker/Endpoints/whisperstack-dev2-asynchronous-0a1b2c3d"]


def test_a_bucket_that_fills_again_before_it_is_deleted_is_emptied_again(deploy):
    """As access logs do, which come late. moto deletes full buckets, so CloudFormation's first answer is put in its place."""
    buckets = deploy()
    clients = {service: boto3.client(service) for service in ("cloudformation", "s3")}
    events, ok = clients["cloudformation"].meta.events, SimpleNamespace(status_code=200)
    failed = {"StackName": STORAGE, "StackStatus": "DELETE_FAILED"}
    answers = {"DeleteStack": [{}], "DescribeStacks": [{"Stacks": [failed]}]}

    def refuse_once(model, params, **_):
        if not params["body"]["StackName"].startswith(
            (STORAGE, f"arn:aws:cloudformation:{REGION}:123456789012:stack/{STORAGE}")
        ):
            return None
        if not answers[model.name]:
            return None
        clients["s3"].put_object(Bucket=buckets[1], Key="AccessLogs/late", Body=b"log")
        return ok, answers[model.name].pop()

    teardown = Teardown("dev", find_stacks(clients["cloudformation"], "dev"), clients)
    for operation in answers:
        events.register(f"before-call.cloudformation.{operation}", refuse_once)
    removed = [sum(teardown.delete_with_contents(wave)) for wave in teardown.waves]
    assert removed == [0, 6 + 2]
    assert deployed() == {OTHER}


def test_transform_jobs_of_the_environment_are_ended_and_those_of_others_are_not(deploy):
    deploy()
    model = {
        "ExecutionRoleArn": "arn:aws:iam::123456789012:role/r",
        "PrimaryContainer": {"Image": "i", "ModelDataUrl": "s3://b/k"},
    }
    template = {"Resources": {"Model": {"Type": "AWS::SageMaker::Model", "Properties": model}}}
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(StackName=BATCH, TemplateBody=json.dumps(template))
    (ours,) = [r["PhysicalResourceId"] for r in cloudformation.describe_stack_resources(StackName=BATCH)["StackResources"]]
    sagemaker = boto3.client("sagemaker")
    clients = {"cloudformation": cloudformation, "sagemaker": sagemaker, "stepfunctions": boto3.client("stepfunctions")}
    with Stubber(sagemaker) as stub:
        names = {"ours": ours.rpartition("/")[2], "theirs": "another-model"}
        summary = {"TransformJobArn": "a" * 20, "CreationTime": 0, "TransformJobStatus": "InProgress"}
        listed = [{"TransformJobName": name, **summary} for name in names]
        stub.add_response("list_transform_jobs", {"TransformJobSummaries": listed}, {"StatusEquals": "InProgress"})
        for name, used in names.items():
            described = {**summary, "TransformJobName": name, "ModelName": used, "TransformInput": {}, "TransformResources": {}}
            described["TransformInput"] = {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b"}}}
            described["TransformResources"] = {"InstanceType": "ml.m5.large", "InstanceCount": 1}
            stub.add_response("describe_transform_job", described, {"TransformJobName": name})
            if name == "ours":
                stub.add_response("stop_transform_job", {}, {"TransformJobName": name})
        assert Teardown("dev", find_stacks(cloudformation, "dev"), clients).stop_batches() == 1
        stub.assert_no_pending_responses()


def test_executions_of_the_environment_are_ended_and_those_of_others_are_not(deploy):
    deploy()
    machine = {"RoleArn": "arn:aws:iam::123456789012:role/r", "DefinitionString": "{}"}
    template = {"Resources": {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": machine}}}
    cloudformation, states, sagemaker = (boto3.client(name) for name in ("cloudformation", "stepfunctions", "sagemaker"))
    for name in (BATCH, "Whisperstack-dev2-Batch"):
        cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    machines = [
        cloudformation.describe_stack_resources(StackName=name)["StackResources"][0]["PhysicalResourceId"]
        for name in (BATCH, "Whisperstack-dev2-Batch")
    ]
    ours, theirs = (states.start_execution(stateMachineArn=arn)["executionArn"] for arn in machines)
    clients = {"cloudformation": cloudformation, "sagemaker": sagemaker, "stepfunctions": states}

    assert Teardown("dev", find_stacks(cloudformation, "dev"), clients).stop_batches() == 1

    assert states.describe_execution(executionArn=ours)["status"] == "ABORTED"
    assert states.describe_execution(executionArn=theirs)["status"] == "RUNNING"
