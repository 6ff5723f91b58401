"""An asynchronous SageMaker endpoint: requests from S3, results to S3, notifications on two topics."""

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.constructs.alarms import Alarms
from infra.constructs.job_storage import JobStorage
from infra.constructs.whisper_endpoint import DOWNLOAD_SECONDS, STARTUP_SECONDS, WhisperEndpoint
from infra.constructs.whisper_model import WhisperModel
from infra.grants import grant
from infra.inference_options import AsynchronousSettings
from whisperstack_contract.limits import ASYNC_INVOCATION_TIMEOUT_SECONDS

# Alarms are watched for so long after the new instances get all requests. Three canaries are sent meanwhile.
_BAKING_SECONDS = 15 * 60

# A start, the wait for what runs on the old instances, and as much again for SageMaker to find instances.
_UPDATE_SECONDS = _BAKING_SECONDS + 2 * (DOWNLOAD_SECONDS + STARTUP_SECONDS + ASYNC_INVOCATION_TIMEOUT_SECONDS)


class AsyncEndpoint(WhisperEndpoint):
    """key: of topics and logs, and of the instances' volumes where these are not encrypted by hardware.

    alarms: makes those that undo an update.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model: WhisperModel,
        settings: AsynchronousSettings,
        storage: JobStorage,
        key: kms.IKey,
        log_retention: logs.RetentionDays,
        alarms: Alarms,
    ) -> None:
        super().__init__(scope, construct_id, model=model, settings=settings, key=key, log_retention=log_retention)
        self.success_topic = sns.Topic(self, "Succeeded", master_key=key, enforce_ssl=True)
        self.error_topic = sns.Topic(self, "Failed", master_key=key, enforce_ssl=True)
        storage.audio.grant_read_staged(model.role)
        storage.transcripts.grant_write_raw(model.role)
        grant(model.role, ["sns:Publish"], [self.success_topic.topic_arn, self.error_topic.topic_arn])
        local_disk = settings.instance.has_local_disk
        if not local_disk:
            storage.key.grant_volume(model.role)
        config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            # SageMaker refuses a key for a local disk, which its hardware encrypts.
            kms_key_id=None if local_disk else key.key_arn,
            # The API takes no less than one instance; scaling in to zero comes after.
            production_variants=[self._variant(count=1)],
            async_inference_config=self._async_config(storage, settings.workers, key),
        )
        # To retain a count of zero would put a model in service that never started.
        self._create(config, self._update(), self._rollback_alarms(alarms), retain_counts=False)

    @property
    def metric_dimensions(self) -> list[cloudwatch.CfnAlarm.DimensionProperty]:
        """Of the metrics of the endpoint's queue. Those of its instances have the variant's name as well."""
        return [cloudwatch.CfnAlarm.DimensionProperty(name="EndpointName", value=self.endpoint_name)]

    def grant_invoke_async(self, grantee: iam.IRole) -> None:
        self._grant_invoke(grantee, "sagemaker:InvokeEndpointAsync")

    def _update(self) -> sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty:
        return sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty(
            # The steps of other types need two instances, and this endpoint may have one or none.
            traffic_routing_configuration=sagemaker.CfnEndpoint.TrafficRoutingConfigProperty(
                type="ALL_AT_ONCE", wait_interval_in_seconds=_BAKING_SECONDS
            ),
            # What the old instances have begun may take this long.
            termination_wait_in_seconds=ASYNC_INVOCATION_TIMEOUT_SECONDS,
            maximum_execution_timeout_in_seconds=_UPDATE_SECONDS,
        )

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
