"""Transcribes a known sample when the endpoint changes, and again and again while it is being updated.

A broken release can be in service, since its container answers /ping; only a request tells. Outside an update the schedule
sends nothing to an asynchronous endpoint: it would keep it from resting, or wake it. A real-time endpoint runs anyway.
"""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_events as events
from constructs import Construct

from infra.constructs.async_endpoint import AsyncEndpoint
from infra.constructs.event_target import FunctionTarget
from infra.constructs.job_storage import JobStorage
from infra.constructs.python_function import FunctionPlatform, PythonFunction
from infra.constructs.realtime_endpoint import RealtimeEndpoint
from infra.constructs.whisper_endpoint import WhisperEndpoint
from infra.grants import grant
from whisperstack_contract import variables

_EVERY = Duration.minutes(5)
# One run waits for its answer, and ends before the next but one begins.
_TIMEOUT = Duration.minutes(9)
_WAIT = Duration.minutes(8)
# A real-time endpoint answers or refuses within a minute; this leaves it time to stop being busy.
_REALTIME_WAIT = Duration.minutes(3)


class Canary(Construct):
    """Of one kind of endpoint; `for_async` and `for_realtime` make it."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint: WhisperEndpoint,
        told: Mapping[str, str],
        platform: FunctionPlatform,
    ) -> None:
        super().__init__(scope, construct_id)
        self.function = PythonFunction(
            self,
            "Transcribe",
            package="transcribe_canary",
            variables={
                variables.ENDPOINT_NAME: endpoint.endpoint_name,
                **told,
            },
            timeout=_TIMEOUT,
            memory_mib=256,
            platform=platform,
        )
        grant(self.function.role, ["sagemaker:DescribeEndpoint"], [endpoint.endpoint_arn])
        schedule = events.Rule(
            self, "Schedule", description="Looks whether an update is on its way", schedule=events.Schedule.rate(_EVERY)
        )
        changes = events.Rule(
            self,
            "StateChanges",
            description="State changes of the endpoint",
            event_pattern=events.EventPattern(
                source=["aws.sagemaker"],
                detail_type=["SageMaker Endpoint State Change"],
                detail={"EndpointName": [endpoint.endpoint_name]},
            ),
        )
        for rule in (schedule, changes):
            rule.add_target(FunctionTarget(self.function))

    @classmethod
    def for_async(
        cls,
        scope: Construct,
        construct_id: str,
        *,
        endpoint: AsyncEndpoint,
        storage: JobStorage,
        platform: FunctionPlatform,
    ) -> "Canary":
        """Puts the sample where recordings are staged, and reads the answer where the endpoint writes it."""
        told = {
            variables.AUDIO_BUCKET: storage.audio.bucket_name,
            variables.CANARY_WAIT_SECONDS: str(_WAIT.to_seconds()),
        }
        canary = cls(scope, construct_id, endpoint=endpoint, told=told, platform=platform)
        role = canary.function.role
        storage.audio.grant_write_canary(role)
        storage.transcripts.grant_read_canaries(role)
        storage.key.grant_use(role)
        endpoint.grant_invoke_async(role)
        return canary

    @classmethod
    def for_realtime(
        cls,
        scope: Construct,
        construct_id: str,
        *,
        endpoint: RealtimeEndpoint,
        platform: FunctionPlatform,
    ) -> "Canary":
        """Sends the sample and waits for the answer."""
        told = {variables.CANARY_WAIT_SECONDS: str(_REALTIME_WAIT.to_seconds())}
        canary = cls(scope, construct_id, endpoint=endpoint, told=told, platform=platform)
        endpoint.grant_invoke(canary.function.role)
        return canary
