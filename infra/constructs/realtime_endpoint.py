"""A real-time SageMaker endpoint: a recording in the request, its transcript in the answer, within a minute."""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.constructs.alarms import Alarms
from infra.constructs.job_storage import JobStorage
from infra.constructs.whisper_endpoint import DOWNLOAD_SECONDS, STARTUP_SECONDS, WhisperEndpoint
from infra.constructs.whisper_model import WhisperModel
from infra.inference_options import RealtimeSettings, TrafficShift, UpdateSettings
from whisperstack_contract import metrics

# Source: CreateEndpoint API, MaximumExecutionTimeoutInSeconds.
_MOST_UPDATE_SECONDS = 8 * 3600

_HOUR = Duration.hours(1)
_FIVE_MINUTES = Duration.minutes(5)


class RealtimeEndpoint(WhisperEndpoint):
    """Nothing that is sent or answered is kept, unless `settings` says how much of it is to be captured.

    key: of what is captured, of logs, and of the instances' volumes where these are not encrypted by hardware. alarms: makes
    those that undo an update, one for an endpoint that is forgotten, and one for an endpoint that is too small.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model: WhisperModel,
        settings: RealtimeSettings,
        storage: JobStorage,
        key: kms.IKey,
        log_retention: logs.RetentionDays,
        alarms: Alarms,
    ) -> None:
        super().__init__(scope, construct_id, model=model, settings=settings, key=key, log_retention=log_retention)
        self._most_at_a_time = settings.most_at_a_time
        local_disk = settings.instance.has_local_disk
        if not local_disk:
            storage.key.grant_volume(model.role)
        # A worker answers one request at a time, and recordings differ in length: a random instance may be the busy one.
        routing = sagemaker.CfnEndpointConfig.RoutingConfigProperty(routing_strategy="LEAST_OUTSTANDING_REQUESTS")
        config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            kms_key_id=None if local_disk else key.key_arn,
            production_variants=[self._variant(settings.scaling.min_instances, routing)],
            data_capture_config=self._capture(settings.captured_percent, storage, key) if settings.captured_percent else None,
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

        alarms.at_least(
            self,
            "Overloaded",
            self._at_a_time(),
            settings.most_at_a_time,
            periods=3,
            meaning="The real-time endpoint has refused requests for a quarter of an hour: it has too few instances.",
        )

    def grant_invoke(self, grantee: iam.IGrantable) -> None:
        self._grant_invoke(grantee, "sagemaker:InvokeEndpoint")

    def _server_errors(self, period: Duration) -> cloudwatch.IMetric:
        """Without those of minutes in which an instance had as many requests as it takes: it answers the next one with 503.

        SageMaker counts 503 like every other server error, and an update at a busy time must not be undone for it. An instance
        whose workers are gone also answers 503, but then has few requests.
        """
        errors = super()._server_errors(period)
        return cloudwatch.MathExpression(
            expression=f"IF(FILL(atATime, 0) < {self._most_at_a_time}, errors, 0)",
            using_metrics={"errors": errors, "atATime": self._at_a_time()},
            label="Server errors, overload apart",
            period=period,
        )

    def _at_a_time(self) -> cloudwatch.Metric:
        return self.metric("ConcurrentRequestsPerModel", "Maximum", _FIVE_MINUTES, of_variant=True)

    def _capture(
        self, percent: int, storage: JobStorage, key: kms.IKey
    ) -> sagemaker.CfnEndpointConfig.DataCaptureConfigProperty:
        storage.transcripts.grant_write_captured(self._model.role)
        modes = ("Input", "Output")
        return sagemaker.CfnEndpointConfig.DataCaptureConfigProperty(
            enable_capture=True,
            initial_sampling_percentage=percent,
            destination_s3_uri=storage.transcripts.captured_url,
            kms_key_id=key.key_arn,
            capture_options=[sagemaker.CfnEndpointConfig.CaptureOptionProperty(capture_mode=mode) for mode in modes],
            # What is not named here is kept in base64, as recordings must be.
            capture_content_type_header=sagemaker.CfnEndpointConfig.CaptureContentTypeHeaderProperty(
                json_content_types=["application/json"]
            ),
        )


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
