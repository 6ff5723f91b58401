"""What the deployed roles may do, held against what was done under them."""

import itertools
import json
import re
from typing import NamedTuple

# How far the resources that were used may agree beyond the place where a wildcard begins. Random names agree a little.
_BY_CHANCE = 3


class Grant(NamedTuple):
    """One action on one ARN, wildcards as in the policy. role: stack and logical id, without what the CDK adds to both."""

    role: str
    action: str
    resource: str


def read_grants(aws, roles):
    """Every grant of these roles: physical name → how to call it."""
    iam = aws.client("iam")
    granted = set()
    for name, role in roles.items():
        documents = [
            iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
        ]
        for attached in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            policy = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]
            version = iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=policy["DefaultVersionId"])
            documents.append(version["PolicyVersion"]["Document"])
        for document in documents:
            for statement in document["Statement"]:
                for action in _listed(statement["Action"]):
                    granted |= {Grant(role, action, resource) for resource in _listed(statement["Resource"])}
    return granted


def deployed_roles(aws):
    """Physical name → such as 'Batch/ModelRole', of every role that a stack of ours made; several have a ModelRole."""
    cloudformation = aws.client("cloudformation")
    roles = {}
    for stack in cloudformation.describe_stacks()["Stacks"]:
        if not stack["StackName"].startswith("Whisperstack-"):
            continue
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack["StackName"])
        for resource in (each for page in pages for each in page["StackResourceSummaries"]):
            if resource["ResourceType"] == "AWS::IAM::Role":
                role = re.sub(r"[0-9A-F]{8}$", "", resource["LogicalResourceId"])
                roles[resource["PhysicalResourceId"]] = f"{stack['StackName'].split('-', 2)[2]}/{role}"
    return roles


def read_calls(path, roles):
    """(allowed, refused): sets of Grant, for the roles that are known."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    calls = [(Grant(roles[line["role"]], line["action"], line["resource"]), line["allowed"]) for line in lines]
    return {call for call, allowed in calls if allowed}, {call for call, allowed in calls if not allowed}


def covered_by(grant, calls):
    """The calls that this grant allows."""
    pattern = re.compile(re.escape(grant.resource).replace(r"\*", ".*"), re.DOTALL)
    return {
        call for call in calls if (call.role, call.action) == (grant.role, grant.action) and pattern.fullmatch(call.resource)
    }


def is_wider_than_used(grant, calls):
    """Whether a narrower ARN would have done: what was used agrees beyond the place where the wildcard begins.

    An action on '*' knows no resource, so that nothing is narrower.
    """
    literal, wildcard, _ = grant.resource.partition("*")
    if not wildcard or grant.resource == "*":
        return False
    used = sorted(call.resource for call in covered_by(grant, calls))
    # Sorted, the first and the last differ the earliest.
    agree = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(used[0], used[-1], strict=False)) if used else ()
    return len(list(agree)) > len(literal) + _BY_CHANCE


def _listed(value):
    return value if isinstance(value, list) else [value]
