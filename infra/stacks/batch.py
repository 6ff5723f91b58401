"""What transform jobs run: a model with its role. It costs nothing while no job runs."""

from typing import Any

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from infra.constructs.batch_model import BatchModel
from infra.constructs.job_storage import JobStorage
from infra.constructs.private_network import PrivateNetwork
from infra.inference_options import BatchSettings
from whisperstack_contract.artefact import ReleaseManifest


class BatchStack(Stack):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        storage: JobStorage,
        settings: BatchSettings,
        release: ReleaseManifest | None,
        network: PrivateNetwork | None,
        **stack_settings: Any,
    ) -> None:
        super().__init__(scope, construct_id, **stack_settings)
        self.model = BatchModel(self, "Model", settings=settings, release=release, storage=storage, network=network)
        CfnOutput(self, "ModelName", value=self.model.model_name)
        CfnOutput(self, "ModelDigest", value=self.model.digest)
