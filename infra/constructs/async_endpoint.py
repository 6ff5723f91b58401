"""An asynchronous SageMaker endpoint: requests from S3, results to S3, notifications on two topics."""

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.constructs.job_storage import JobStorage
from infra.constructs.whisper_model import WhisperModel
from infra.grants import grant
from infra.instances import InstanceType

_VARIANT = "Whisper"

# The model loads on the first request, so a start is a download and an unpacking. The largest model's archive has 3 GB.
_DOWNLOAD_SECONDS = 20 * 60
_STARTUP_SECONDS = 10 * 60


class AsyncEndpoint(Construct):
    """workers: copies of the model in an instance, each of which takes one request at a time.

    key: of the topics, and of the instances' volumes where these are not encrypted by hardware.
    inference_ami_version: of the host, or None for SageMaker's default.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model: WhisperModel,
        storage: JobStorage,
        instance: InstanceType,
        workers: int,
        inference_ami_version: str | None,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id)
        self.model_digest = model.digest
        self.success_topic = sns.Topic(self, "Succeeded", master_key=key, enforce_ssl=True)
        self.error_topic = sns.Topic(self, "Failed", master_key=key, enforce_ssl=True)
        storage.audio.grant_read_staged(model.role)
        storage.transcripts.grant_write_raw(model.role)
        grant(model.role, ["sns:Publish"], [self.success_topic.topic_arn, self.error_topic.topic_arn])
        if not instance.has_local_disk:
            storage.key.grant_volume(model.role)
        config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            # SageMaker refuses a key for a local disk, which its hardware encrypts.
            kms_key_id=None if instance.has_local_disk else key.key_arn,
            production_variants=[
                sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                    variant_name=_VARIANT,
                    model_name=model.model_name,
                    instance_type=instance.name,
                    # The API takes no less; scaling in to zero comes after.
                    initial_instance_count=1,
                    initial_variant_weight=1,
                    inference_ami_version=inference_ami_version,
                    model_data_download_timeout_in_seconds=_DOWNLOAD_SECONDS,
                    container_startup_health_check_timeout_in_seconds=_STARTUP_SECONDS,
                )
            ],
            async_inference_config=self._async_config(storage, workers, key),
        )
        self._endpoint = sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            endpoint_config_name=config.attr_endpoint_config_name,
            # To retain a count of zero would put a model in service that never started.
            retain_all_variant_properties=False,
        )

    @property
    def endpoint_name(self) -> str:
        return self._endpoint.attr_endpoint_name

    @property
    def variant_name(self) -> str:
        return _VARIANT

    @property
    def metric_dimensions(self) -> list[cloudwatch.CfnAlarm.DimensionProperty]:
        """Of the metrics of the endpoint's queue. Those of its instances have the variant's name as well."""
        return [cloudwatch.CfnAlarm.DimensionProperty(name="EndpointName", value=self.endpoint_name)]

    def grant_invoke_async(self, grantee: iam.IRole) -> None:
        arn = Stack.of(self).format_arn(service="sagemaker", resource="endpoint", resource_name=self.endpoint_name)
        grant(grantee, ["sagemaker:InvokeEndpointAsync"], [arn])

    def _async_config(
        self, storage: JobStorage, workers: int, key: kms.IKey
    ) -> sagemaker.CfnEndpointConfig.AsyncInferenceConfigProperty:
        return sagemaker.CfnEndpointConfig.AsyncInferenceConfigProperty(
            client_config=sagemaker.CfnEndpointConfig.AsyncInferenceClientConfigProperty(
                max_concurrent_invocations_per_instance=workers
            ),
            output_config=sagemaker.CfnEndpointConfig.AsyncInferenceOutputConfigProperty(
                s3_output_path=storage.transcripts.raw_url,
                s3_failure_path=storage.transcripts.failures_url,
                kms_key_id=key.key_arn,
                notification_config=sagemaker.CfnEndpointConfig.AsyncInferenceNotificationConfigProperty(
                    success_topic=self.success_topic.topic_arn, error_topic=self.error_topic.topic_arn
                ),
            ),
        )
