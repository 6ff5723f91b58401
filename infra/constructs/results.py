"""From the endpoint's notifications to a transcript: a queue, and the function that records the end of a job."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.constructs.async_endpoint import AsyncEndpoint
from infra.constructs.job_storage import JobStorage
from infra.constructs.python_function import FunctionPlatform, PythonFunction
from infra.constructs.work_queue import WorkQueue, dead_letter_queue
from infra.inference_options import AsynchronousSettings
from whisperstack_contract import variables
from whisperstack_contract.keys import UPLOAD_PREFIXES
from whisperstack_contract.receipt import Instances


class Results(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        storage: JobStorage,
        endpoint: AsyncEndpoint,
        settings: AsynchronousSettings,
        instances: Instances,
        platform: FunctionPlatform,
    ) -> None:
        super().__init__(scope, construct_id)
        self.function = function = PythonFunction(
            self,
            "Record",
            package="record_result",
            variables={
                variables.JOB_TABLE: storage.jobs.table_name,
                variables.AUDIO_BUCKET: storage.audio.bucket_name,
                variables.TRANSCRIPTS_BUCKET: storage.transcripts.bucket_name,
                variables.INSTANCES: instances.to_json(),
                **settings.job_variables,
                variables.ANNOUNCEMENTS_TOPIC: storage.announcements.topic_arn,
            },
            timeout=Duration.minutes(1),
            memory_mib=512,
            platform=platform,
        )
        storage.jobs.grant_update_jobs(function.role)
        storage.audio.grant_see_current(function.role)
        storage.transcripts.grant_read_raw(function.role)
        storage.transcripts.grant_write_transcripts(function.role)
        storage.announcements.grant_publish(function.role)
        storage.key.grant_use(function.role)

        self.work = WorkQueue(self, "Work", function=function, key=platform.key, batch_size=10, max_concurrency=20)
        self.undelivered = dead_letter_queue(
            self,
            "UndeliveredNotifications",
            key=platform.key,
            reason="SNS and EventBridge's rule send here what they could not deliver; nothing consumes it.",
        )
        self._subscribe("Succeeded", endpoint.success_topic)
        self._subscribe("Failed", endpoint.error_topic)
        self._route_deletions(storage)

    def _route_deletions(self, storage: JobStorage) -> None:
        """A version that is deleted, or whose delete marker is, may leave another one as the current one."""
        rule = events.Rule(
            self,
            "Deletions",
            description="Deletions of uploads decide anew whose transcript bears a name",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Deleted"],
                detail={
                    "bucket": {"name": [storage.audio.bucket_name]},
                    "object": {"key": [{"prefix": prefix} for prefix in UPLOAD_PREFIXES]},
                },
            ),
        )
        rule.add_target(targets.SqsQueue(self.work.queue, dead_letter_queue=self.undelivered))

    def _subscribe(self, construct_id: str, topic: sns.ITopic) -> None:
        # The topic's own add_subscription would put the stack's name into the logical id, which then changes with it.
        sns.Subscription(
            self,
            construct_id,
            topic=topic,
            protocol=sns.SubscriptionProtocol.SQS,
            endpoint=self.work.queue.queue_arn,
            raw_message_delivery=True,
            dead_letter_queue=self.undelivered,
        )
        sender = iam.ServicePrincipal("sns.amazonaws.com", conditions={"ArnEquals": {"aws:SourceArn": topic.topic_arn}})
        self.work.queue.add_to_resource_policy(
            iam.PolicyStatement(principals=[sender], actions=["sqs:SendMessage"], resources=[self.work.queue.queue_arn])
        )
