"""What `make preflight` finds in an account, and what it tells to do about it."""

import dataclasses
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from typer.testing import CliRunner

from infra.environments import find_environment
from infra.images import find_image
from infra.inference_options import BatchSettings, RealtimeSettings
from infra.instances import Hardware
from infra.served_model import OwnImage
from preflight import __main__ as command
from preflight.account import check_bootstrap, check_boundary, check_key, check_place, check_roles, check_watched
from preflight.findings import Verdict, asking
from preflight.needs import Instances, Needs, Use
from preflight.quotas import check_quotas
from preflight.releases import check_image, check_own_image, check_release
from whisperstack_contract.artefact import (
    ARCHIVE_MANIFEST_FILENAME,
    RELEASE_MANIFEST_FILENAME,
    ReleaseManifest,
    artefact_folder,
)
from whisperstack_contract.keys import ARCHIVE_FILENAME, model_archive_key, model_folder_prefix

ACCOUNT, REGION, STACK = "123456789012", "us-east-1", "Whisperstack-dev-Storage"

_KIND = "application/vnd.docker.distribution.manifest.v2+json"
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": _KIND, "config": {"digest": "sha256:0"}, "layers": []})


@pytest.fixture
def aws(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws(config={"core": {"reset_boto3_session": False}}):
        yield boto3.client


def one(findings):
    (finding,) = findings
    return finding


def deploy_storage(aws):
    """Returns (id of the key, name of the model bucket)."""
    # As text, which moto's KMS expects of a template.
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    key = {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": policy}}
    resources = {"DataKey": key, "Models": {"Type": "AWS::S3::Bucket"}}
    outputs = {"ModelBucketName": {"Value": {"Ref": "Models"}}}
    aws("cloudformation").create_stack(StackName=STACK, TemplateBody=json.dumps({"Resources": resources, "Outputs": outputs}))
    made = aws("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    physical = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in made}
    return physical["DataKey"], physical["Models"]


def test_an_environment_needs_what_it_can_scale_to_and_one_more_for_an_update():
    needs = Needs.of(find_environment("prod"))
    assert needs.instances == (
        Instances("ml.g5.xlarge", Use.ENDPOINT, 4),
        Instances("ml.g5.xlarge", Use.TRANSFORM, 1),
        # Of the real-time endpoint, whose update starts as many as may run.
        Instances("ml.g5.xlarge", Use.ENDPOINT, 8),
    )
    assert [image.repository for image in needs.images] == ["huggingface-pytorch-inference"]
    assert needs.artefacts == (("pytorch", "large-v3-turbo"),)


def test_every_option_counts_with_all_its_instance_types():
    environment = find_environment("prod")
    model = {"engine": "pytorch", "model": "base", "hardware": Hardware.GPU, "max_audio_seconds": 60}
    batch = BatchSettings(**model, instance_type="ml.g4dn.xlarge", instances_per_job=5)
    talk = RealtimeSettings(**model, instance_type="ml.g5.xlarge", alternatives=("ml.g6.xlarge",))
    needs = Needs.of(dataclasses.replace(environment, batch=batch, realtime={"talk": talk}))
    assert set(needs.instances) == {
        Instances("ml.g5.xlarge", Use.ENDPOINT, 4),
        Instances("ml.g5.xlarge", Use.ENDPOINT, 6),
        Instances("ml.g6.xlarge", Use.ENDPOINT, 6),
        Instances("ml.g4dn.xlarge", Use.TRANSFORM, 5),
    }
    assert len(needs.images) == 1


@pytest.mark.parametrize(
    ("account", "region", "verdict"),
    [(None, None, "ok"), (ACCOUNT, REGION, "ok"), ("210987654321", REGION, "FAILED"), (ACCOUNT, "eu-west-1", "FAILED")],
)
def test_another_account_or_region_than_the_environments_is_told(account, region, verdict):
    needs = dataclasses.replace(Needs.of(find_environment("dev")), account=account, region=region)
    finding = one(check_place(needs, ACCOUNT, REGION, "arn:aws:iam::123456789012:user/me"))
    assert finding.verdict == verdict
    assert ("AWS_PROFILE" in finding.remedy) == (verdict == "FAILED")


@pytest.mark.parametrize(("version", "verdict"), [(None, "FAILED"), ("5", "FAILED"), ("6", "ok"), ("28", "ok")])
def test_an_account_that_is_not_bootstrapped_or_long_ago_is_told(aws, version, verdict):
    if version:
        aws("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value=version, Type="String")
    finding = one(check_bootstrap(aws("ssm"), ACCOUNT, REGION))
    assert finding.verdict == verdict
    assert (f"cdk bootstrap aws://{ACCOUNT}/{REGION}" in finding.remedy) == (verdict == "FAILED")


def test_roles_of_the_cdk_that_cannot_be_taken_are_told(aws):
    sts = aws("sts")
    assert {finding.verdict for finding in check_roles(sts, ACCOUNT, REGION, "aws")} == {Verdict.PASSED}
    with Stubber(sts) as stub:
        for _ in range(2):
            stub.add_client_error("assume_role", "AccessDenied", "no", 403)
        findings = list(check_roles(sts, ACCOUNT, REGION, "aws"))
    assert {finding.verdict for finding in findings} == {Verdict.FAILED}
    assert f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-deploy-role-{ACCOUNT}-{REGION}" in findings[0].remedy


def test_a_permissions_boundary_that_is_not_there_is_told(aws):
    iam = aws("iam")
    assert list(check_boundary(iam, ACCOUNT, "aws", None)) == []
    missing = one(check_boundary(iam, ACCOUNT, "aws", "teams/developers"))
    assert missing.verdict is Verdict.FAILED
    assert f"arn:aws:iam::{ACCOUNT}:policy/teams/developers" in missing.found
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.create_policy(PolicyName="developers", Path="/teams/", PolicyDocument=json.dumps(document))
    assert one(check_boundary(iam, ACCOUNT, "aws", "teams/developers")).verdict is Verdict.PASSED


def test_a_key_that_cannot_encrypt_is_told_and_none_is_fine_before_the_first_deployment(aws):
    clients = aws("cloudformation"), aws("kms"), STACK
    assert one(check_key(*clients)).verdict is Verdict.PASSED
    key, _ = deploy_storage(aws)
    assert one(check_key(*clients)).verdict is Verdict.PASSED
    aws("kms").disable_key(KeyId=key)
    assert f"aws kms enable-key --key-id {key}" in one(check_key(*clients)).remedy
    aws("kms").schedule_key_deletion(KeyId=key)
    finding = one(check_key(*clients))
    assert finding.verdict is Verdict.FAILED
    assert "cancel-key-deletion" in finding.remedy


def quota(name, value, code="L-1"):
    return {"ServiceCode": "sagemaker", "QuotaName": name, "QuotaCode": code, "Value": value}


def quotas_found(applied, default, *needed):
    """moto has quotas of VPCs only."""
    client = boto3.client("service-quotas", REGION)
    with Stubber(client) as stub:
        first = {"Quotas": applied[:1], "NextToken": "more"}
        stub.add_response("list_service_quotas", first, {"ServiceCode": "sagemaker"})
        stub.add_response("list_service_quotas", {"Quotas": applied[1:]})
        stub.add_response("list_aws_default_service_quotas", {"Quotas": default})
        return list(check_quotas(client, needed, REGION))


def test_a_quota_that_is_too_low_is_told_with_the_request_that_raises_it():
    name = "ml.g5.xlarge for endpoint usage"
    needed = Instances("ml.g5.xlarge", Use.ENDPOINT, 4), Instances("ml.g5.xlarge", Use.ENDPOINT, 2)
    assert one(quotas_found([quota("other", 1), quota(name, 6)], [], *needed)).verdict is Verdict.PASSED
    finding = one(quotas_found([quota("other", 1), quota(name, 5, "L-5")], [], *needed))
    assert finding.verdict is Verdict.FAILED
    assert "it is 5; the environment needs 6" in finding.found
    assert "--quota-code L-5 --desired-value 6" in finding.remedy


def test_endpoints_and_transform_jobs_have_quotas_of_their_own():
    both = Instances("ml.g5.xlarge", Use.ENDPOINT, 1), Instances("ml.g5.xlarge", Use.TRANSFORM, 2)
    applied = [quota("ml.g5.xlarge for endpoint usage", 1)]
    default = [quota("ml.g5.xlarge for transform job usage", 0)]
    findings = quotas_found(applied, default, *both)
    assert [finding.verdict for finding in findings] == [Verdict.PASSED, Verdict.FAILED]


def test_an_instance_type_without_a_quota_is_told():
    finding = one(quotas_found([], [], Instances("ml.g9.xlarge", Use.ENDPOINT, 1)))
    assert finding.verdict is Verdict.FAILED
    assert "choose another instance type or region" in finding.remedy


def test_an_image_is_looked_for_in_the_registry_of_the_region(aws):
    image = find_image("huggingface", "pytorch", Hardware.GPU)
    # moto knows the registry of its own account only.
    image = dataclasses.replace(image, accounts={REGION: ACCOUNT})
    assert "no repository" in one(check_image(aws("ecr"), image, REGION)).found
    aws("ecr").create_repository(repositoryName=image.repository)
    missing = one(check_image(aws("ecr"), image, REGION))
    assert missing.verdict is Verdict.FAILED
    assert "make refresh-images" in missing.remedy
    aws("ecr").put_image(repositoryName=image.repository, imageTag=image.tag, imageManifest=MANIFEST)
    assert one(check_image(aws("ecr"), image, REGION)).verdict is Verdict.PASSED
    assert "choose one of" in one(check_image(aws("ecr"), image, "eu-west-9")).found


def test_an_image_of_your_own_is_looked_for_by_its_tag_or_its_digest(aws):
    place = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/mine"
    image = OwnImage(f"{place}:1.0", "s3://bucket/model.tar.gz")
    assert "allow this account" in one(check_own_image(aws("ecr"), image)).remedy
    aws("ecr").create_repository(repositoryName="mine")
    digest = aws("ecr").put_image(repositoryName="mine", imageTag="1.0", imageManifest=MANIFEST)["image"]["imageId"][
        "imageDigest"
    ]
    for uri, verdict in ((f"{place}:1.0", "ok"), (f"{place}@{digest}", "ok"), (f"{place}@sha256:{'0' * 64}", "FAILED")):
        found = one(check_own_image(aws("ecr"), dataclasses.replace(image, image_uri=uri)))
        assert (found.verdict, uri in found.subject) == (verdict, True)


def build(root, archive=b"archive"):
    folder = root / artefact_folder("pytorch", "tiny.en")
    folder.mkdir(parents=True)
    release = ReleaseManifest("pytorch", "tiny.en", "d" * 64, len(archive))
    (folder / RELEASE_MANIFEST_FILENAME).write_text(release.to_json())
    (folder / ARCHIVE_FILENAME).write_bytes(archive)
    return folder / ARCHIVE_FILENAME


def test_an_artefact_is_published_or_built_or_told_how_to_build(aws, tmp_path):
    def found(unpacked=False):
        return one(check_release(aws("s3"), aws("cloudformation"), STACK, tmp_path, "pytorch", "tiny.en", unpacked=unpacked))

    assert found().verdict is Verdict.FAILED
    assert "model_build build --engine pytorch --model tiny.en" in found().remedy
    archive = build(tmp_path)
    assert "the deployment publishes it" in found().found
    _, bucket = deploy_storage(aws)
    assert "the deployment publishes it" in found().found
    aws("s3").put_object(Bucket=bucket, Key=model_archive_key("d" * 64), Body=archive.read_bytes())
    assert "the deployment publishes it" in found(unpacked=True).found
    archive.unlink()
    assert found().found.startswith("published")
    assert found(unpacked=True).verdict is Verdict.FAILED
    manifest = model_folder_prefix("d" * 64) + ARCHIVE_MANIFEST_FILENAME
    aws("s3").put_object(Bucket=bucket, Key=manifest, Body=b"{}")
    assert found(unpacked=True).found.startswith("published")
    aws("s3").put_object(Bucket=bucket, Key=model_archive_key("d" * 64), Body=b"cut")
    assert found().verdict is Verdict.FAILED


def test_what_the_credentials_may_not_ask_is_unknown_and_not_wrong(aws):
    ssm = aws("ssm")
    with Stubber(ssm) as stub:
        stub.add_client_error("get_parameter", "AccessDeniedException", "no", 400)
        finding = one(asking("CDK bootstrap", "ssm:GetParameter", lambda: check_bootstrap(ssm, ACCOUNT, REGION)))
    assert finding.verdict is Verdict.UNKNOWN
    assert "allow ssm:GetParameter" in finding.remedy


def test_an_answer_that_nobody_expects_is_unknown_and_keeps_what_was_found_before(aws):
    sts = aws("sts")
    with Stubber(sts) as stub:
        stub.add_client_error("assume_role", "AccessDenied", "no", 403)
        stub.add_client_error("assume_role", "500", "<!doctype html>\n<html>" + "x" * 1000, 500)
        refused, unknown = asking("roles", "sts:AssumeRole", lambda: check_roles(sts, ACCOUNT, REGION, "aws"))
    assert refused.verdict is Verdict.FAILED
    assert unknown.verdict is Verdict.UNKNOWN
    assert "<!doctype html> <html>" in unknown.found
    assert len(unknown.found) < 300


def test_one_check_that_aws_does_not_answer_does_not_end_the_others(aws, run):  # noqa: ARG001  # it must be there
    def answer(**_):
        return type("Answer", (), {"status_code": 500}), {"Error": {"Code": "500", "Message": "<html>"}, "ResponseMetadata": {}}

    run.events.append(("before-call.ssm", answer))
    shown = run.command("--env", "dev")
    assert "unknown CDK bootstrap: AWS did not answer as expected" in shown.stdout
    assert "ok      quota" in shown.stdout
    assert "artefact of" in shown.stdout
    assert "1 could not be made" in shown.stdout


def test_an_environment_that_keeps_data_is_asked_for_its_account_and_for_who_hears_of_alarms():
    prod = find_environment("prod")
    notes = list(check_watched(Needs.of(prod)))
    assert {finding.verdict for finding in notes} == {Verdict.NOTE}
    assert [finding.subject for finding in notes] == ["bound to an account", "alarms", "budget", "runbook"]
    operations = dataclasses.replace(
        prod.operations,
        alarm_email="oncall@example.com",
        monthly_budget_usd=100,
        runbook_url="https://git.example.com/whisperstack/docs/operations.md",
    )
    told = dataclasses.replace(prod, account=ACCOUNT, region=REGION, operations=operations)
    assert list(check_watched(Needs.of(told))) == []
    assert list(check_watched(Needs.of(find_environment("dev")))) == []


@pytest.fixture
def run(aws, monkeypatch):  # noqa: ARG001  # it must be there
    """The command, in an account whose SageMaker quotas are all 100."""
    names = [f"ml.g4dn.xlarge for {use}" for use in Use]

    events = []

    def session(**_options):
        made = new_session(region_name=REGION)
        answer = {"Quotas": [quota(name, 100) for name in names], "ResponseMetadata": {}}
        made.events.register("before-call.service-quotas", lambda **_: (type("Answer", (), {"status_code": 200}), answer))
        for name, handler in events:
            made.events.register(name, handler)
        return made

    new_session = boto3.Session
    monkeypatch.setattr(command.boto3, "Session", session)
    app = command.typer.Typer(add_completion=False)
    app.command()(command.preflight)
    command_of = CliRunner()
    return SimpleNamespace(command=lambda *arguments: command_of.invoke(app, arguments, catch_exceptions=False), events=events)


def test_the_command_shows_every_check_and_fails_if_one_did(aws, run):
    shown = run.command("--env", "dev")
    assert shown.exit_code == 1
    for subject in ("account and region", "CDK bootstrap", "role cdk-", "key", "quota", "image", "artefact"):
        assert f"{subject}" in shown.stdout
    assert "FAILED  CDK bootstrap" in shown.stdout
    assert "ok      quota 'ml.g4dn.xlarge for endpoint usage': 100, of which 4 are needed" in shown.stdout
    aws("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="28", Type="String")
    assert "ok      CDK bootstrap: version 28" in run.command("--env", "dev").stdout


def test_an_environment_that_does_not_exist_is_a_sentence(run):
    shown = run.command("--env", "nowhere")
    assert shown.exit_code == 2
    assert "there is no environment 'nowhere'" in shown.stderr


def test_it_runs_first_in_a_deployment():
    makefile = (Path(sys.modules["preflight"].__file__).parents[1] / "Makefile").read_text()
    recipe = makefile.partition("\ndeploy: ")[2].partition("\n\n")[0]
    assert recipe.index("preflight ENV=$(ENV)") < recipe.index("$(CDK) deploy")
