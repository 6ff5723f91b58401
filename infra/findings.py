"""Accepted cdk-nag findings: each on one construct, with the reason that an auditor reads."""

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def accept_finding(construct: IConstruct, rule: str, reason: str) -> None:
    """rule: as cdk-nag prints it, such as 'Serverless-LambdaDLQ', or 'AwsSolutions-IAM5[Resource::*]' for one of several."""
    pack = rule.partition("-")[0]
    Validations.of(construct).acknowledge(Acknowledgment(id=f"{pack}::{rule}", reason=reason))
