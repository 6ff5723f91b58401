"""From the endpoint's notifications to a transcript: a queue, and the function that records the end of a job."""

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.constructs.async_endpoint import AsyncEndpoint
from infra.constructs.job_storage import JobStorage
from infra.constructs.python_function import PythonFunction
from infra.constructs.work_queue import WorkQueue, dead_letter_queue
from whisperstack_contract import variables


class Results(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        storage: JobStorage,
        endpoint: AsyncEndpoint,
        log_retention: logs.RetentionDays,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id)
        self.function = function = PythonFunction(
            self,
            "Record",
            package="record_result",
            variables={
                variables.JOB_TABLE: storage.jobs.table_name,
                variables.TRANSCRIPTS_BUCKET: storage.transcripts.bucket_name,
                variables.ANNOUNCEMENTS_TOPIC: storage.announcements.topic_arn,
            },
            timeout=Duration.minutes(1),
            memory_mib=512,
            log_retention=log_retention,
            key=key,
        )
        storage.jobs.grant_update_jobs(function.role)
        storage.audio.grant_see_current(function.role)
        storage.transcripts.grant_read_raw(function.role)
        storage.transcripts.grant_write_transcripts(function.role)
        storage.announcements.grant_publish(function.role)
        storage.key.grant_use(function.role)

        self.work = WorkQueue(self, "Work", function=function, key=key, batch_size=10, max_concurrency=20)
        self.undelivered = dead_letter_queue(
            self, "UndeliveredNotifications", key=key, reason="SNS sends here what it could not deliver; nothing consumes it."
        )
        self._subscribe("Succeeded", endpoint.success_topic)
        self._subscribe("Failed", endpoint.error_topic)

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
