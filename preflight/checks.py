"""All checks, in the order in which a person would mend what they find."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import boto3
from botocore.exceptions import NoRegionError

from infra.environments import find_environment
from preflight.account import check_bootstrap, check_boundary, check_key, check_place, check_roles, check_watched
from preflight.findings import Finding, asking
from preflight.needs import ROOT, Needs
from preflight.quotas import check_quotas
from preflight.releases import check_image, check_own_image, check_release


def check_all(environment: str, session: boto3.Session) -> Iterator[Finding]:
    """Raises ConfigurationError, and what AWS answers to who may not even ask who they are."""
    needs = Needs.of(find_environment(environment))
    region = needs.region or session.region_name
    if region is None:
        raise NoRegionError
    clients: Any = session.client
    caller = clients("sts", region_name=region).get_caller_identity()
    account, stack = caller["Account"], f"Whisperstack-{environment}-Storage"

    def client(service: str, elsewhere: str | None = None) -> Any:
        return clients(service, region_name=elsewhere or region)

    yield from check_place(needs, account, session.region_name or region, caller["Arn"])
    yield from check_watched(needs)
    yield from asking("CDK bootstrap", "ssm:GetParameter", lambda: check_bootstrap(client("ssm"), account, region))
    yield from asking(
        "roles of the CDK", "sts:AssumeRole", lambda: check_roles(client("sts"), account, region, caller["Arn"].split(":")[1])
    )
    yield from asking(
        "permissions boundary",
        "iam:GetPolicy",
        lambda: check_boundary(client("iam"), account, caller["Arn"].split(":")[1], needs.permissions_boundary),
    )
    yield from asking(
        "key",
        "cloudformation:ListStackResources and kms:DescribeKey",
        lambda: check_key(client("cloudformation"), client("kms"), stack),
    )
    yield from asking(
        "quotas",
        "servicequotas:ListServiceQuotas and servicequotas:ListAWSDefaultServiceQuotas",
        lambda: check_quotas(client("service-quotas"), needs.instances, region),
    )
    yield from asking(
        "images",
        "ecr:BatchGetImage",
        lambda: chain(
            chain.from_iterable(check_image(client("ecr"), image, region) for image in needs.images),
            chain.from_iterable(check_own_image(client("ecr", image.region), image) for image in needs.own_images),
        ),
    )
    yield from asking(
        "artefacts",
        "cloudformation:DescribeStacks, s3:ListBucket and s3:GetObject",
        lambda: chain.from_iterable(
            check_release(client("s3"), client("cloudformation"), stack, ROOT, *artefact, unpacked=artefact in needs.unpacked)
            for artefact in needs.artefacts
        ),
    )
