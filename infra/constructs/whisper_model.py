"""A released Whisper model in its serving image, with a role that reads this release and no other."""

from collections.abc import Mapping

from aws_cdk import ArnFormat, CfnMapping, Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.constructs.data_key import DataKey
from infra.constructs.model_bucket import ModelBucket
from infra.errors import ConfigurationError
from infra.grants import grant, grant_wildcard
from infra.images import ServingImage
from whisperstack_contract import variables
from whisperstack_contract.artefact import ReleaseManifest


class WhisperModel(Construct):
    """environment: variables of the container beside the model's digest. Grants for what it may touch go to `role`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        image: ServingImage,
        release: ReleaseManifest,
        bucket: ModelBucket,
        key: DataKey,
        environment: Mapping[str, str],
    ) -> None:
        super().__init__(scope, construct_id)
        _require_decoder(image, release)
        stack = Stack.of(self)
        self.digest = release.digest
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        key.grant_use(self.role)
        account = self._registry_account(image)
        self._grant_image(image.repository, account)
        self._grant_observability()
        # A policy of its own for each release: during an update, and after one that was rolled back, the endpoint still
        # starts instances with the previous release, whose policy goes away only once nothing uses it.
        archive_access = iam.Policy(self, f"Release{release.digest[:12]}", roles=[self.role])
        bucket.grant_read_archive(archive_access, release.digest)
        self._model = sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=self.role.role_arn,
            enable_network_isolation=True,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
                image=f"{account}.dkr.ecr.{stack.region}.{stack.url_suffix}/{image.repository}:{image.tag}",
                mode="SingleModel",
                model_data_url=bucket.archive_url(release.digest),
                environment={**environment, variables.MODEL_DIGEST: release.digest},
            ),
        )
        # SageMaker tries the role's access to archive and image when it creates the model.
        self._model.node.add_dependency(self.role.node.find_child("DefaultPolicy"), archive_access)

    @property
    def model_name(self) -> str:
        return self._model.attr_model_name

    def _registry_account(self, image: ServingImage) -> str:
        """Looked up by CloudFormation, so that one template serves every region."""
        region = Stack.of(self).region
        if not Token.is_unresolved(region):
            image.require_region(region)
        accounts = CfnMapping(
            self, "Registry", lazy=True, mapping={name: {"account": account} for name, account in image.accounts.items()}
        )
        return accounts.find_in_map(region, "account")

    def _grant_image(self, repository: str, account: str) -> None:
        grant(
            self.role,
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            [Stack.of(self).format_arn(service="ecr", account=account, resource="repository", resource_name=repository)],
        )
        grant_wildcard(
            self.role,
            ["ecr:GetAuthorizationToken"],
            ["*"],
            "A registry's token has no resource to be narrowed to, and metrics are narrowed by their namespace instead.",
        )

    def _grant_observability(self) -> None:
        grant_wildcard(
            self.role,
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [
                Stack.of(self).format_arn(
                    service="logs",
                    resource="log-group",
                    resource_name="/aws/sagemaker/Endpoints/*",
                    arn_format=ArnFormat.COLON_RESOURCE_NAME,
                )
            ],
            "SageMaker names the log group after the endpoint, which does not exist yet when its model gets this role.",
        )
        grant(
            self.role,
            ["cloudwatch:PutMetricData"],
            ["*"],
            {"StringEquals": {"cloudwatch:namespace": ["/aws/sagemaker/Endpoints", "AWS/SageMaker"]}},
        )


def _require_decoder(image: ServingImage, release: ReleaseManifest) -> None:
    """Raises ConfigurationError where neither image nor archive has an ffmpeg, so that no recording could be decoded."""
    if not (image.has_ffmpeg or release.has_ffmpeg or release.example):
        raise ConfigurationError(
            f"the image {image.name!r} has no ffmpeg, and the archive of {release.engine}/{release.model} carries none; "
            "build it with --with-ffmpeg, or choose another image"
        )
