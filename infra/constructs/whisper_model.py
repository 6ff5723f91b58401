"""A Whisper model in its serving image, with a role that reads this model and no other."""

import hashlib

from aws_cdk import Annotations, ArnFormat, CfnMapping, Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.constructs.data_key import DataKey
from infra.constructs.model_bucket import ModelBucket
from infra.constructs.private_network import PrivateNetwork
from infra.container_variables import hub_variables, release_variables
from infra.errors import ConfigurationError
from infra.grants import grant, grant_wildcard
from infra.images import DEFAULT_IMAGE, ServingImage, find_image, warn_where_patches_end
from infra.served_model import WHISPERX_ENGINE, HubModel, ModelLayout, OwnImage, ServedModel
from infra.serving_variables import ServingLimits
from whisperstack_contract import variables
from whisperstack_contract.artefact import ReleaseManifest
from whisperstack_contract.inference_options import InferenceOption

# What SageMaker names the log groups of a model's containers after.
_LOG_GROUPS = {
    InferenceOption.REAL_TIME: "Endpoints/*",
    InferenceOption.ASYNCHRONOUS: "Endpoints/*",
    InferenceOption.BATCH: "TransformJobs*",
}


class WhisperModel(Construct):
    """A built release, or what `settings` names in its place. Grants for what it may touch go to `role`.

    release: where settings.needs_release. network: None leaves the containers in SageMaker's own. Raises ConfigurationError.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: ServedModel,
        limits: ServingLimits,
        release: ReleaseManifest | None,
        bucket: ModelBucket,
        key: DataKey,
        network: PrivateNetwork | None,
        option: InferenceOption,
    ) -> None:
        super().__init__(scope, construct_id)
        self._settings, self._option = settings, option
        self._bucket = bucket
        self._archive_access: list[iam.Policy] = []
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        key.grant_use(self.role)
        self._grant_observability(_LOG_GROUPS[option])
        # Of an image that is not in the table, the hosts must have the same drivers.
        hosts = find_image(DEFAULT_IMAGE, "pytorch", settings.hardware)
        self.inference_ami_version = hosts.inference_ami_version
        self.transform_ami_version = hosts.transform_ami_version
        if settings.own is not None:
            container = self._own_container(settings.own)
        elif settings.hub is not None:
            container = self._hub_container(settings.hub, limits)
        elif release is not None:
            container = self._release_container(release, limits)
        else:
            raise ConfigurationError(f"{settings.engine}/{settings.model} needs a release; build one, or give its manifest")
        self._model = sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=self.role.role_arn,
            enable_network_isolation=settings.hub is None,
            primary_container=container,
            vpc_config=network.place_model(self.role) if network else None,
        )
        # SageMaker tries the role's access to archive and image when it creates the model.
        self._model.node.add_dependency(self.role.node.find_child("DefaultPolicy"), *self._archive_access)

    @property
    def model_name(self) -> str:
        return self._model.attr_model_name

    def _release_container(
        self, release: ReleaseManifest, limits: ServingLimits
    ) -> sagemaker.CfnModel.ContainerDefinitionProperty:
        self.digest = release.digest
        image = self._image()
        _require_decoder(image, release)
        # A policy of its own for each release: during an update, and after one that was rolled back, the endpoint still
        # starts instances with the previous release, whose policy goes away only once nothing uses it.
        access = iam.Policy(self, f"Release{release.digest[:12]}", roles=[self.role])
        self._archive_access.append(access)
        data = self._model_data(release.digest, access)
        if self._settings.engine == WHISPERX_ENGINE:
            self._warn("Whisperx", "the engine 'whisperx' answers in its own format, not in the transcript contract's")
        return sagemaker.CfnModel.ContainerDefinitionProperty(
            image=self._image_uri(image),
            mode="SingleModel",
            model_data_url=data if isinstance(data, str) else None,
            model_data_source=None if isinstance(data, str) else data,
            environment={
                **release_variables(self._settings, limits, image, self._option),
                variables.MODEL_DIGEST: release.digest,
            },
        )

    def _model_data(self, digest: str, access: iam.Policy) -> str | sagemaker.CfnModel.ModelDataSourceProperty:
        """Where the release lies, in the layout that the settings ask for; `access` is allowed to read it."""
        if self._settings.layout is ModelLayout.ARCHIVE:
            self._bucket.grant_read_archive(access, digest)
            return self._bucket.archive_url(digest)
        self._bucket.grant_read_folder(access, digest)
        return sagemaker.CfnModel.ModelDataSourceProperty(
            s3_data_source=sagemaker.CfnModel.S3DataSourceProperty(
                compression_type="None", s3_data_type="S3Prefix", s3_uri=self._bucket.folder_url(digest)
            )
        )

    def _hub_container(self, hub: HubModel, limits: ServingLimits) -> sagemaker.CfnModel.ContainerDefinitionProperty:
        image = self._image("huggingface")
        environment = hub_variables(self._settings, hub, limits, image)
        self.digest = _digest(hub.model_id, hub.revision)
        self._warn(
            "Hub",
            f"{hub.model_id} comes from the hub at every start of an instance: the container has the network, and the image's "
            "stock handler answers in its own format, with recordings over 30 s only where the request says chunk_length_s",
        )
        return sagemaker.CfnModel.ContainerDefinitionProperty(
            image=self._image_uri(image), mode="SingleModel", environment=environment
        )

    def _own_container(self, own: OwnImage) -> sagemaker.CfnModel.ContainerDefinitionProperty:
        region = Stack.of(self).region
        if not Token.is_unresolved(region) and region != own.region:
            raise ConfigurationError(
                f"image_uri lies in {own.region!r}, and the environment in {region!r}; SageMaker takes images of its own "
                "region only; copy the image there"
            )
        self.digest = _digest(own.image_uri, own.model_data_url)
        self._grant_image(own.repository, own.account)
        partition = Stack.of(self).partition
        grant(self.role, ["s3:GetObject"], [f"arn:{partition}:s3:::{own.bucket}/{own.key}"])
        if own.model_data_key_arn is not None:
            grant(self.role, ["kms:Decrypt"], [own.model_data_key_arn])
        self._warn("OwnImage", f"{own.image_uri} is your own: its patches, its handler and its answers are yours to look after")
        return sagemaker.CfnModel.ContainerDefinitionProperty(
            image=own.image_uri,
            mode="SingleModel",
            model_data_url=own.model_data_url,
            environment={**self._settings.container_variables},
        )

    def _warn(self, name: str, text: str) -> None:
        Annotations.of(self).add_warning_v2(f"whisperstack:outside{name}", text)

    def _image(self, engine: str | None = None) -> ServingImage:
        image = find_image(self._settings.image, engine or self._settings.engine, self._settings.hardware)
        warn_where_patches_end(self, image)
        return image

    def _image_uri(self, image: ServingImage) -> str:
        stack = Stack.of(self)
        account = self._registry_account(image)
        self._grant_image(image.repository, account)
        return f"{account}.dkr.ecr.{stack.region}.{stack.url_suffix}/{image.repository}:{image.tag}"

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

    def _grant_observability(self, log_groups: str) -> None:
        grant_wildcard(
            self.role,
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [
                Stack.of(self).format_arn(
                    service="logs",
                    resource="log-group",
                    resource_name=f"/aws/sagemaker/{log_groups}",
                    arn_format=ArnFormat.COLON_RESOURCE_NAME,
                )
            ],
            "SageMaker names log groups and streams after endpoints and jobs, which do not exist yet when the role is made.",
        )
        grant(
            self.role,
            ["cloudwatch:PutMetricData"],
            ["*"],
            {"StringEquals": {"cloudwatch:namespace": [f"/aws/sagemaker/{log_groups.rstrip('/*')}", "AWS/SageMaker"]}},
        )


def _digest(*parts: str) -> str:
    """What tells one model from another where there is no archive of ours."""
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _require_decoder(image: ServingImage, release: ReleaseManifest) -> None:
    """Raises ConfigurationError where neither image nor archive has an ffmpeg, so that no recording could be decoded."""
    if not (image.has_ffmpeg or release.has_ffmpeg or release.example):
        raise ConfigurationError(
            f"the image {image.name!r} has no ffmpeg, and the archive of {release.engine}/{release.model} carries none; "
            "build it with --with-ffmpeg, or choose another image"
        )
