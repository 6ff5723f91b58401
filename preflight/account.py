"""Who deploys, where, and whether the CDK and the environment's key are within reach."""

from collections.abc import Iterator
from typing import Any, Final

from botocore.exceptions import ClientError

from preflight.findings import Finding, failed, note, passed
from preflight.needs import Needs

# Of the CDK's bootstrap stack. Source: aws-cdk-lib, DefaultStackSynthesizer: the qualifier, the parameter, the roles, and
# the version from which on a template with assets can be deployed.
_QUALIFIER: Final = "hnb659fds"
_VERSION_PARAMETER: Final = f"/cdk-bootstrap/{_QUALIFIER}/version"
_LEAST_VERSION: Final = 6
_ROLES: Final = ("deploy-role", "file-publishing-role")


def check_place(needs: Needs, account: str, region: str, caller: str) -> Iterator[Finding]:
    """Whether these are the account and the region that the environment names."""
    subject = "account and region"
    wanted = (needs.account or account, needs.region or region)
    if wanted == (account, region):
        yield passed(subject, f"{account} in {region}, as {caller}")
    else:
        yield failed(
            subject,
            f"the credentials are for {account} in {region}; {needs.environment} is {wanted[0]} in {wanted[1]}",
            "choose the profile of that account (AWS_PROFILE) and its region (AWS_DEFAULT_REGION)",
        )


def check_watched(needs: Needs) -> Iterator[Finding]:
    """Whether data that is to last lies in one account for good, and whether somebody hears of what goes wrong with it."""
    if not needs.retain_data:
        return
    where = f"of {needs.environment} in infra/environments.py"
    if needs.account is None or needs.region is None:
        yield note(
            "bound to an account",
            f"{needs.environment} keeps its data and names no account and region; any credentials can deploy it anywhere",
            f"set account and region {where}",
        )
    if needs.alarm_email is None:
        yield note(
            "alarms",
            "no alarm_email is set; unless others subscribe to the alarm topic, nobody hears of an alarm",
            f"set operations.alarm_email {where}, or subscribe what your team uses",
        )
    if needs.monthly_budget_usd is None:
        yield note("budget", "no monthly_budget_usd is set; nothing tells of what a month costs", f"set it {where}")
    if not needs.runbook_url.startswith(("https://", "http://")):
        yield note(
            "runbook",
            f"runbook_url is {needs.runbook_url!r}, which nobody can click on in an alarm's mail",
            f"set operations.runbook_url {where} to where your team reads docs/operations.md",
        )


def check_bootstrap(ssm: Any, account: str, region: str) -> Iterator[Finding]:
    subject = "CDK bootstrap"
    remedy = f"run: PATH=.venv/bin:$PATH npx cdk bootstrap aws://{account}/{region}"
    try:
        version = int(ssm.get_parameter(Name=_VERSION_PARAMETER)["Parameter"]["Value"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ParameterNotFound":
            raise
        yield failed(subject, f"{account} is not bootstrapped in {region} ({_VERSION_PARAMETER} is not there)", remedy)
        return
    if version < _LEAST_VERSION:
        yield failed(subject, f"its version is {version}; at least {_LEAST_VERSION} is needed", remedy)
    else:
        yield passed(subject, f"version {version}")


def check_roles(sts: Any, account: str, region: str, partition: str) -> Iterator[Finding]:
    """Whether the caller may take the CDK's roles, without which nothing is deployed."""
    for role in _ROLES:
        arn = f"arn:{partition}:iam::{account}:role/cdk-{_QUALIFIER}-{role}-{account}-{region}"
        subject = f"role {arn.rpartition('/')[2]}"
        try:
            sts.assume_role(RoleArn=arn, RoleSessionName="whisperstack-preflight")
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDenied":
                raise
            yield failed(
                subject, "it is not there, or you may not take it", f"bootstrap again, or allow sts:AssumeRole on {arn}"
            )
        else:
            yield passed(subject, "can be taken")


def check_boundary(iam: Any, account: str, partition: str, name: str | None) -> Iterator[Finding]:
    """Whether the permissions boundary is there, without which no role can be made. name: None where there is to be none."""
    if name is None:
        return
    subject = f"permissions boundary {name}"
    arn = f"arn:{partition}:iam::{account}:policy/{name}"
    try:
        iam.get_policy(PolicyArn=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        yield failed(subject, f"there is no policy {arn}", "create it, or name another one in the environment's governance")
    else:
        yield passed(subject, "is there")


def check_key(cloudformation: Any, kms: Any, stack: str) -> Iterator[Finding]:
    """Whether the environment's key can be used, once there is one."""
    subject = "key"
    key = _key_of(cloudformation, stack)
    if key is None:
        yield passed(subject, f"none yet: {stack} is not deployed")
        return
    described: Any = kms.describe_key(KeyId=key)["KeyMetadata"]
    if described["KeyState"] == "Enabled":
        yield passed(subject, f"{key} is enabled")
    elif described["KeyState"] == "PendingDeletion":
        yield failed(
            subject,
            f"{key} is going to be deleted, and everything that it encrypts with it",
            f"aws kms cancel-key-deletion --key-id {key} && aws kms enable-key --key-id {key}",
        )
    else:
        yield failed(subject, f"{key} is {described['KeyState']}", f"aws kms enable-key --key-id {key}")


def _key_of(cloudformation: Any, stack: str) -> str | None:
    try:
        pages = list(cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return None
    resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
    return next((r["PhysicalResourceId"] for r in resources if r["ResourceType"] == "AWS::KMS::Key"), None)
