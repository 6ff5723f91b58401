"""From an upload to a request at the endpoint: EventBridge, a queue, and the function that submits."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.constructs.async_endpoint import AsyncEndpoint
from infra.constructs.job_storage import JobStorage
from infra.constructs.python_function import FunctionPlatform, PythonFunction
from infra.constructs.work_queue import WorkQueue, dead_letter_queue
from infra.inference_options import AsynchronousSettings
from whisperstack_contract import variables
from whisperstack_contract.keys import INCOMING_PREFIX


class Intake(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        storage: JobStorage,
        endpoint: AsyncEndpoint,
        settings: AsynchronousSettings,
        platform: FunctionPlatform,
    ) -> None:
        super().__init__(scope, construct_id)
        self.function = function = PythonFunction(
            self,
            "Submit",
            package="submit_transcription",
            variables={
                variables.JOB_TABLE: storage.jobs.table_name,
                variables.AUDIO_BUCKET: storage.audio.bucket_name,
                variables.TRANSCRIPTS_BUCKET: storage.transcripts.bucket_name,
                variables.ENDPOINT_NAME: endpoint.endpoint_name,
                variables.ANNOUNCEMENTS_TOPIC: storage.announcements.topic_arn,
                variables.MODEL_DIGEST: endpoint.model_digest,
                variables.DEFAULT_OPTIONS: settings.default_options.to_custom_attributes(),
                variables.PROMPTS_FROM_METADATA: str(settings.prompts_from_metadata).lower(),
                **settings.job_variables,
            },
            # S3 copies a gigabyte within one call; a batch may hold five of them.
            timeout=Duration.minutes(3),
            memory_mib=512,
            platform=platform,
        )
        storage.jobs.grant_create_jobs(function.role)
        storage.audio.grant_read_uploads(function.role)
        storage.audio.grant_write_staged(function.role)
        storage.transcripts.grant_write_errors(function.role)
        storage.announcements.grant_publish(function.role)
        storage.key.grant_use(function.role)
        endpoint.grant_invoke_async(function.role)

        self.work = WorkQueue(self, "Work", function=function, key=platform.key, batch_size=5, max_concurrency=20)
        self.undelivered = dead_letter_queue(
            self,
            "UndeliveredEvents",
            key=platform.key,
            reason="EventBridge's rule sends here what it could not deliver; nothing consumes it.",
        )
        self._route_uploads(storage)

    def _route_uploads(self, storage: JobStorage) -> None:
        rule = events.Rule(
            self,
            "Uploads",
            description="Uploads below incoming/ become transcription jobs",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [storage.audio.bucket_name]},
                    "object": {"key": [{"prefix": INCOMING_PREFIX}]},
                },
            ),
        )
        rule.add_target(targets.SqsQueue(self.work.queue, dead_letter_queue=self.undelivered))
