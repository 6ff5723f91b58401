"""An asynchronous SageMaker endpoint: requests from S3, results to S3, notifications on two topics."""

import hashlib

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.constructs.alarms import Alarms
from infra.constructs.job_storage import JobStorage
from infra.constructs.whisper_model import WhisperModel
from infra.grants import grant
from infra.instances import InstanceType
from whisperstack_contract import metrics
from whisperstack_contract.limits import ASYNC_INVOCATION_TIMEOUT_SECONDS

_VARIANT = "Whisper"

# The model loads on the first request, so a start is a download and an unpacking. The largest model's archive has 3 GB.
_DOWNLOAD_SECONDS = 20 * 60
_STARTUP_SECONDS = 10 * 60

# Alarms are watched for so long after the new instances get all requests. Three canaries are sent meanwhile.
_BAKING_SECONDS = 15 * 60

# A start, the wait for what runs on the old instances, and as much again for SageMaker to find instances.
_UPDATE_SECONDS = _BAKING_SECONDS + 2 * (_DOWNLOAD_SECONDS + _STARTUP_SECONDS + ASYNC_INVOCATION_TIMEOUT_SECONDS)

# In five minutes. One can be a recording that the decoder dies of.
_SERVER_ERRORS = 3


class AsyncEndpoint(Construct):
    """workers: copies of the model in an instance, each of which takes one request at a time.

    key: of the topics, and of the instances' volumes where these are not encrypted by hardware.
    inference_ami_version: of the host, or None for SageMaker's default. alarms: makes those that undo an update.
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
        alarms: Alarms,
    ) -> None:
        super().__init__(scope, construct_id)
        self._name = _name(Stack.of(self).stack_name, instance)
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
            endpoint_name=self._name,
            endpoint_config_name=config.attr_endpoint_config_name,
            deployment_config=self._deployment(self._rollback_alarms(alarms)),
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

    @property
    def endpoint_arn(self) -> str:
        return Stack.of(self).format_arn(service="sagemaker", resource="endpoint", resource_name=self.endpoint_name)

    def metric(self, name: str, statistic: str, period: Duration, *, of_variant: bool = False) -> cloudwatch.Metric:
        """One of SageMaker's. of_variant: whether it has the variant's name as a dimension too."""
        dimensions = {"EndpointName": self._name} | ({"VariantName": _VARIANT} if of_variant else {})
        return cloudwatch.Metric(
            namespace="AWS/SageMaker", metric_name=name, dimensions_map=dimensions, statistic=statistic, period=period
        )

    def grant_invoke_async(self, grantee: iam.IRole) -> None:
        grant(grantee, ["sagemaker:InvokeEndpointAsync"], [self.endpoint_arn])

    def _rollback_alarms(self, alarms: Alarms) -> list[cloudwatch.Alarm]:
        """They know the endpoint by its name, not by reference, because the endpoint refers to them."""
        canaries = cloudwatch.Metric(
            namespace=metrics.NAMESPACE,
            metric_name=metrics.CANARIES_FAILED,
            dimensions_map={"EndpointName": self._name, "service": "transcribe_canary"},
            statistic="Sum",
            period=Duration.minutes(5),
        )
        return [
            alarms.at_least(
                self,
                "ServerErrors",
                self.metric("Invocation5XXErrors", "Sum", Duration.minutes(5), of_variant=True),
                _SERVER_ERRORS,
                meaning="The model's container fails on requests. During an update this takes the old release back.",
            ),
            alarms.at_least(
                self,
                "CanaryFailed",
                canaries,
                1,
                meaning="The endpoint did not transcribe a known sample. During an update this takes the old release back.",
            ),
        ]

    def _deployment(self, rollback_alarms: list[cloudwatch.Alarm]) -> sagemaker.CfnEndpoint.DeploymentConfigProperty:
        return sagemaker.CfnEndpoint.DeploymentConfigProperty(
            auto_rollback_configuration=sagemaker.CfnEndpoint.AutoRollbackConfigProperty(
                alarms=[sagemaker.CfnEndpoint.AlarmProperty(alarm_name=alarm.alarm_name) for alarm in rollback_alarms]
            ),
            blue_green_update_policy=sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty(
                # The steps of other types need two instances, and this endpoint may have one or none.
                traffic_routing_configuration=sagemaker.CfnEndpoint.TrafficRoutingConfigProperty(
                    type="ALL_AT_ONCE", wait_interval_in_seconds=_BAKING_SECONDS
                ),
                # What the old instances have begun may take this long.
                termination_wait_in_seconds=ASYNC_INVOCATION_TIMEOUT_SECONDS,
                maximum_execution_timeout_in_seconds=_UPDATE_SECONDS,
            ),
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


def _name(stack_name: str, instance: InstanceType) -> str:
    """Another name for another instance type, and so another endpoint: a scaled variant cannot change its type in place.

    In lower case, as SageMaker lowers the name in the endpoint's ARN, and a policy that does not would match nothing.
    """
    distinction = hashlib.sha256(f"{_VARIANT} {instance.name}".encode()).hexdigest()[:8]
    return f"{stack_name}-{distinction}".lower()
