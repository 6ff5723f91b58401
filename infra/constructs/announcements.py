"""The topic on which users hear that a job has ended. It outlives the pipeline, because users subscribe to it."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.constructs.data_key import DataKey
from infra.grants import grant


class Announcements(Construct):
    def __init__(self, scope: Construct, construct_id: str, *, key: DataKey, removal_policy: RemovalPolicy) -> None:
        super().__init__(scope, construct_id)
        self._key = key
        self.topic = sns.Topic(self, "Topic", master_key=key.key, enforce_ssl=True)
        self.topic.apply_removal_policy(removal_policy)

    @property
    def topic_arn(self) -> str:
        return self.topic.topic_arn

    def grant_publish(self, grantee: iam.IRole) -> None:
        grant(grantee, ["sns:Publish"], [self.topic_arn])
        self._key.grant_use(grantee)
