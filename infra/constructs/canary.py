"""Transcribes a known sample when the endpoint changes, and again and again while it is being updated.

A broken release can be in service, since its container answers /ping; only a request tells. Outside an update the schedule
sends nothing: it would keep the endpoint from resting, or wake it.
"""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.async_endpoint import AsyncEndpoint
from infra.constructs.event_target import FunctionTarget
from infra.constructs.job_storage import JobStorage
from infra.constructs.python_function import PythonFunction
from infra.grants import grant
from whisperstack_contract import variables

_EVERY = Duration.minutes(5)
# One run waits for its answer, and ends before the next but one begins.
_TIMEOUT = Duration.minutes(9)
_WAIT = Duration.minutes(8)


class Canary(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint: AsyncEndpoint,
        storage: JobStorage,
        log_retention: logs.RetentionDays,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id)
        self.function = PythonFunction(
            self,
            "Transcribe",
            package="transcribe_canary",
            variables={
                variables.ENDPOINT_NAME: endpoint.endpoint_name,
                variables.AUDIO_BUCKET: storage.audio.bucket_name,
                variables.CANARY_WAIT_SECONDS: str(_WAIT.to_seconds()),
            },
            timeout=_TIMEOUT,
            memory_mib=256,
            log_retention=log_retention,
            key=key,
        )
        storage.audio.grant_write_canary(self.function.role)
        storage.transcripts.grant_read_canaries(self.function.role)
        storage.key.grant_use(self.function.role)
        endpoint.grant_invoke_async(self.function.role)
        grant(self.function.role, ["sagemaker:DescribeEndpoint"], [endpoint.endpoint_arn])
        schedule = events.Rule(
            self, "Schedule", description="Looks whether an update is on its way", schedule=events.Schedule.rate(_EVERY)
        )
        changes = events.Rule(
            self,
            "StateChanges",
            description="State changes of the asynchronous endpoint",
            event_pattern=events.EventPattern(
                source=["aws.sagemaker"],
                detail_type=["SageMaker Endpoint State Change"],
                detail={"EndpointName": [endpoint.endpoint_name]},
            ),
        )
        for rule in (schedule, changes):
            rule.add_target(FunctionTarget(self.function))
