"""Narrow grants: exact actions on exact resources, and a reason wherever a resource needs a wildcard."""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from infra.findings import accept_finding


def grant(
    grantee: iam.IGrantable, actions: Sequence[str], arns: Sequence[str], conditions: Mapping[str, Any] | None = None
) -> None:
    """Allows `actions` on `arns`. A wildcard in one is left for cdk-nag to find: use grant_wildcard for one with a reason."""
    iam.Grant.add_to_principal(grantee=grantee, actions=[*actions], resource_arns=[*arns], conditions=conditions)


def grant_wildcard(
    grantee: iam.IRole | iam.Policy,
    actions: Sequence[str],
    arns: Sequence[str],
    reason: str,
    conditions: Mapping[str, Any] | None = None,
) -> None:
    """Like grant, for ARNs that each hold a wildcard which `reason` explains."""
    for arn in arns:
        accept_finding(grantee, f"AwsSolutions-IAM5[Resource::{_as_reported(Stack.of(grantee).resolve(arn))}]", reason)
    grant(grantee, actions, arns, conditions)


def _as_reported(arn: Any) -> str:
    """The ARN as cdk-nag writes it: <parameter>, <resource.attribute>, and an export by its bare name."""
    match arn:
        case str():
            return arn
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [resource, attribute]}:
            return f"<{resource}.{attribute}>"
        case {"Fn::ImportValue": export}:
            return str(export)
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(_as_reported(part) for part in parts)
    raise ValueError(f"cannot tell how cdk-nag reports the ARN {arn!r}; extend this function")
