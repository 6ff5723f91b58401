"""What must survive: recordings, transcripts, models, jobs, and the topic that users subscribe to."""

from typing import Any

from aws_cdk import CfnOutput, RemovalPolicy, Stack
from constructs import Construct

from infra.constructs.announcements import Announcements
from infra.constructs.audio_bucket import AudioBucket
from infra.constructs.data_key import DataKey
from infra.constructs.job_storage import JobStorage
from infra.constructs.job_table import JobTable
from infra.constructs.model_bucket import ModelBucket
from infra.constructs.private_bucket import AccessLogsBucket
from infra.constructs.transcripts_bucket import TranscriptsBucket
from infra.constructs.user_policies import UserPolicies
from infra.retention import RetentionSettings


class StorageStack(Stack):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        retain_data: bool,
        retention: RetentionSettings,
        **stack_settings: Any,
    ) -> None:
        super().__init__(scope, construct_id, termination_protection=retain_data, **stack_settings)
        removal = RemovalPolicy.RETAIN if retain_data else RemovalPolicy.DESTROY
        key = DataKey(self, "DataKey", removal_policy=removal)
        logs = AccessLogsBucket(self, "AccessLogs", keep=retention.access_logs_for, removal_policy=removal).bucket
        self.storage = JobStorage(
            key=key,
            audio=AudioBucket(self, "Audio", key=key, access_logs=logs, retention=retention, removal_policy=removal),
            transcripts=TranscriptsBucket(
                self, "Transcripts", key=key, access_logs=logs, retention=retention, removal_policy=removal
            ),
            models=ModelBucket(self, "Models", key=key, access_logs=logs, removal_policy=removal),
            jobs=JobTable(self, "Jobs", key=key, removal_policy=removal),
            announcements=Announcements(self, "Announcements", key=key, removal_policy=removal),
        )
        policies = UserPolicies(self, "Users", storage=self.storage)
        CfnOutput(self, "AudioBucketName", value=self.storage.audio.bucket_name)
        CfnOutput(self, "TranscriptsBucketName", value=self.storage.transcripts.bucket_name)
        CfnOutput(self, "ModelBucketName", value=self.storage.models.bucket_name)
        CfnOutput(self, "JobTableName", value=self.storage.jobs.table_name)
        CfnOutput(self, "AnnouncementsTopicArn", value=self.storage.announcements.topic_arn)
        CfnOutput(self, "UploaderPolicyArn", value=policies.uploader.managed_policy_arn)
        CfnOutput(self, "ReaderPolicyArn", value=policies.reader.managed_policy_arn)
