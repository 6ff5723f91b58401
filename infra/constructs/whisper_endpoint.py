"""What asynchronous and real-time endpoints have in common: a name, one variant, metrics, and alarms that undo an update."""

import hashlib
from collections.abc import Sequence

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.constructs.alarms import Alarms
from infra.constructs.whisper_model import WhisperModel
from infra.grants import grant
from infra.served_model import ServedModel
from whisperstack_contract import metrics

_VARIANT = "Whisper"

# The model loads on the first request, so a start is a download and an unpacking. The largest model's archive has 3 GB.
DOWNLOAD_SECONDS = 20 * 60
STARTUP_SECONDS = 10 * 60

# With several instance types: until SageMaker has tried them all. Source: CreateEndpointConfig API.
_PROVISION_SECONDS = 30 * 60

# In five minutes. One can be a recording that the decoder dies of.
_SERVER_ERRORS = 3


class WhisperEndpoint(Construct):
    """Its subclasses call `_create` once they know what is theirs alone. key: of the containers' logs."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model: WhisperModel,
        settings: ServedModel,
        key: kms.IKey,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, construct_id)
        self._name = _name(Stack.of(self).stack_name, settings.instance_types)
        # SageMaker would make it itself, to be kept for ever, with nobody's key, and to be left behind.
        self._logs = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/sagemaker/Endpoints/{self._name}",
            retention=log_retention,
            encryption_key=key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self._model, self._settings = model, settings
        self.model_digest = model.digest

    @property
    def endpoint_name(self) -> str:
        return self._endpoint.attr_endpoint_name

    @property
    def variant_name(self) -> str:
        return _VARIANT

    @property
    def endpoint_arn(self) -> str:
        return Stack.of(self).format_arn(service="sagemaker", resource="endpoint", resource_name=self.endpoint_name)

    def metric(self, name: str, statistic: str, period: Duration, *, of_variant: bool = False) -> cloudwatch.Metric:
        """One of SageMaker's. of_variant: whether it has the variant's name as a dimension too."""
        dimensions = {"EndpointName": self._name} | ({"VariantName": _VARIANT} if of_variant else {})
        return cloudwatch.Metric(
            namespace="AWS/SageMaker", metric_name=name, dimensions_map=dimensions, statistic=statistic, period=period
        )

    def canaries(self, name: str, period: Duration) -> cloudwatch.Metric:
        """How many of our own samples passed or failed."""
        return cloudwatch.Metric(
            namespace=metrics.NAMESPACE,
            metric_name=name,
            dimensions_map={"EndpointName": self._name, "service": "transcribe_canary"},
            statistic="Sum",
            period=period,
        )

    def _variant(
        self, count: int, routing: sagemaker.CfnEndpointConfig.RoutingConfigProperty | None = None
    ) -> sagemaker.CfnEndpointConfig.ProductionVariantProperty:
        types = self._settings.instance_types
        pools = [
            sagemaker.CfnEndpointConfig.InstancePoolProperty(instance_type=name, priority=priority)
            for priority, name in enumerate(types, start=1)
        ]
        several = len(types) > 1
        return sagemaker.CfnEndpointConfig.ProductionVariantProperty(
            variant_name=_VARIANT,
            model_name=self._model.model_name,
            instance_type=None if several else types[0],
            instance_pools=pools if several else None,
            variant_instance_provision_timeout_in_seconds=_PROVISION_SECONDS if several else None,
            initial_instance_count=count,
            initial_variant_weight=1,
            inference_ami_version=self._model.inference_ami_version,
            model_data_download_timeout_in_seconds=DOWNLOAD_SECONDS,
            container_startup_health_check_timeout_in_seconds=STARTUP_SECONDS,
            routing_config=routing,
        )

    def _create(
        self,
        config: sagemaker.CfnEndpointConfig,
        update: sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty,
        alarms: Sequence[cloudwatch.IAlarm],
        *,
        retain_counts: bool,
    ) -> None:
        """alarms: those that undo an update. retain_counts: whether an update keeps the number of instances."""
        self._endpoint = sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            endpoint_name=self._name,
            endpoint_config_name=config.attr_endpoint_config_name,
            deployment_config=sagemaker.CfnEndpoint.DeploymentConfigProperty(
                auto_rollback_configuration=sagemaker.CfnEndpoint.AutoRollbackConfigProperty(
                    alarms=[sagemaker.CfnEndpoint.AlarmProperty(alarm_name=alarm.alarm_name) for alarm in alarms]
                ),
                blue_green_update_policy=update,
            ),
            retain_all_variant_properties=retain_counts,
        )
        # Until it is gone, it writes; and what it writes must find the group.
        self._endpoint.node.add_dependency(self._logs)

    def _rollback_alarms(self, alarms: Alarms) -> list[cloudwatch.Alarm]:
        """They know the endpoint by its name, not by reference, because the endpoint refers to them."""
        five_minutes = Duration.minutes(5)
        return [
            alarms.at_least(
                self,
                "ServerErrors",
                self._server_errors(five_minutes),
                _SERVER_ERRORS,
                meaning="The model's container fails on requests. During an update this takes the old release back.",
            ),
            alarms.at_least(
                self,
                "CanaryFailed",
                self.canaries(metrics.CANARIES_FAILED, five_minutes),
                1,
                meaning="The endpoint did not transcribe a known sample. During an update this takes the old release back.",
            ),
        ]

    def _server_errors(self, period: Duration) -> cloudwatch.IMetric:
        return self.metric("Invocation5XXErrors", "Sum", period, of_variant=True)

    def _grant_invoke(self, grantee: iam.IGrantable, action: str) -> None:
        grant(grantee, [action], [self.endpoint_arn])


def _name(stack_name: str, instance_types: Sequence[str]) -> str:
    """Another name for other instance types, and so another endpoint: a scaled variant cannot change its type in place.

    In lower case, as SageMaker lowers the name in the endpoint's ARN, and a policy that does not would match nothing.
    """
    distinction = hashlib.sha256(" ".join((_VARIANT, *instance_types)).encode()).hexdigest()[:8]
    return f"{stack_name}-{distinction}".lower()
