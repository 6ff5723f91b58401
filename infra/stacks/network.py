"""The environment's own network, where it has one."""

from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.data_key import DataKey
from infra.constructs.private_network import PrivateNetwork
from infra.network import NetworkSettings


class NetworkStack(Stack):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: NetworkSettings,
        key: DataKey,
        log_retention: logs.RetentionDays,
        **stack_settings: Any,
    ) -> None:
        super().__init__(scope, construct_id, **stack_settings)
        imported = kms.Key.from_key_arn(self, "DataKey", key.key.key_arn)
        self.network = PrivateNetwork(self, "Network", settings=settings, key=imported, log_retention=log_retention)
