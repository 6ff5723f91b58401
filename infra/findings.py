"""Accepted cdk-nag findings: each on one construct, with the reason that an auditor reads."""

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def accept_finding(construct: IConstruct, rule: str, reason: str) -> None:
    """rule: as cdk-nag prints it, such as 'AwsSolutions-S1', or 'AwsSolutions-IAM5[Resource::*]' for one of several."""
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions::{rule}", reason=reason))
