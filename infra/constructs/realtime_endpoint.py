"""A real-time SageMaker endpoint: a recording in the request, its transcript in the answer, within a minute."""

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.constructs.alarms import Alarms
from infra.constructs.data_key import DataKey
from infra.constructs.whisper_endpoint import DOWNLOAD_SECONDS, STARTUP_SECONDS, WhisperEndpoint
from infra.constructs.whisper_model import WhisperModel
from infra.inference_options import RealtimeSettings, TrafficShift, UpdateSettings
from whisperstack_contract import metrics

# Source: CreateEndpoint API, MaximumExecutionTimeoutInSeconds.
_MOST_UPDATE_SECONDS = 8 * 3600

_HOUR = Duration.hours(1)


class RealtimeEndpoint(WhisperEndpoint):
    """Nothing that is sent or answered is kept: data capture is left off.

    data_key, key: of the instances' volumes where these are not encrypted by hardware. alarms: makes those that undo an
    update, and one for an endpoint that is forgotten.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model: WhisperModel,
        settings: RealtimeSettings,
        data_key: DataKey,
        key: kms.IKey,
        alarms: Alarms,
    ) -> None:
        super().__init__(scope, construct_id, model=model, settings=settings)
        local_disk = settings.instance.has_local_disk
        if not local_disk:
            data_key.grant_volume(model.role)
        # A worker answers one request at a time, and recordings differ in length: a random instance may be the busy one.
        routing = sagemaker.CfnEndpointConfig.RoutingConfigProperty(routing_strategy="LEAST_OUTSTANDING_REQUESTS")
        config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            kms_key_id=None if local_disk else key.key_arn,
            production_variants=[self._variant(settings.scaling.min_instances, routing)],
        )
        # An update at a busy time must not start with fewer instances than there are.
        self._create(config, _update(settings.updates), self._rollback_alarms(alarms), retain_counts=True)
        alarms.idle(
            self,
            "IdleEndpoint",
            self.metric("Invocations", "Sum", _HOUR, of_variant=True),
            {
                "passed": self.canaries(metrics.CANARIES_PASSED, _HOUR),
                "failed": self.canaries(metrics.CANARIES_FAILED, _HOUR),
            },
            settings.idle_alarm_hours,
        )

    def grant_invoke(self, grantee: iam.IGrantable) -> None:
        self._grant_invoke(grantee, "sagemaker:InvokeEndpoint")


def _update(settings: UpdateSettings) -> sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty:
    size = sagemaker.CfnEndpoint.CapacitySizeProperty(type="CAPACITY_PERCENT", value=settings.step_percent)
    start_seconds = DOWNLOAD_SECONDS + STARTUP_SECONDS
    return sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty(
        traffic_routing_configuration=sagemaker.CfnEndpoint.TrafficRoutingConfigProperty(
            type=settings.traffic,
            wait_interval_in_seconds=settings.wait_seconds,
            canary_size=size if settings.traffic is TrafficShift.CANARY else None,
            linear_step_size=size if settings.traffic is TrafficShift.LINEAR else None,
        ),
        termination_wait_in_seconds=settings.termination_wait_seconds,
        maximum_execution_timeout_in_seconds=min(_MOST_UPDATE_SECONDS, settings.waiting_seconds + 2 * start_seconds),
    )
