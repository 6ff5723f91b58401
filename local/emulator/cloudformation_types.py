"""Resource types that moto's CloudFormation silently passes over: policies and subscriptions; operations_types has the rest."""

import json
from typing import Any, Final

from moto.core.common_models import CloudFormationModel

from local.emulator.api_resource import ApiResource
from local.emulator.operations_types import OPERATIONS_TYPES
from local.emulator.surroundings import Surroundings


class _BucketPolicy(ApiResource, CloudFormationModel):
    cfn_type = "AWS::S3::BucketPolicy"

    @classmethod
    def put(cls, properties: dict[str, Any]) -> str:
        bucket: str = properties["Bucket"]
        cls.surroundings.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(properties["PolicyDocument"]))
        return bucket

    @classmethod
    def remove(cls, physical_id: str, properties: dict[str, Any]) -> None:
        """Nothing to undo: a bucket's policy goes with its bucket, which the same stack holds."""


class _TopicPolicy(ApiResource, CloudFormationModel):
    cfn_type = "AWS::SNS::TopicPolicy"

    @classmethod
    def put(cls, properties: dict[str, Any]) -> str:
        for topic in properties["Topics"]:
            cls.surroundings.client("sns").set_topic_attributes(
                TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(properties["PolicyDocument"])
            )
        return "|".join(properties["Topics"])

    @classmethod
    def remove(cls, physical_id: str, properties: dict[str, Any]) -> None:
        """Nothing to undo: a topic's policy goes with its topic, which the same stack holds."""


class _QueuePolicy(ApiResource, CloudFormationModel):
    cfn_type = "AWS::SQS::QueuePolicy"

    @classmethod
    def put(cls, properties: dict[str, Any]) -> str:
        for queue in properties["Queues"]:
            cls.surroundings.client("sqs").set_queue_attributes(
                QueueUrl=queue, Attributes={"Policy": json.dumps(properties["PolicyDocument"])}
            )
        return "|".join(properties["Queues"])

    @classmethod
    def remove(cls, physical_id: str, properties: dict[str, Any]) -> None:
        """Nothing to undo: a queue's policy goes with its queue, which the same stack holds."""


class _Subscription(ApiResource, CloudFormationModel):
    cfn_type = "AWS::SNS::Subscription"

    @classmethod
    def put(cls, properties: dict[str, Any]) -> str:
        attributes = {
            name: json.dumps(properties[name]) if isinstance(properties[name], dict) else str(properties[name]).lower()
            for name in ("RawMessageDelivery", "RedrivePolicy", "FilterPolicy")
            if name in properties
        }
        response = cls.surroundings.client("sns").subscribe(
            TopicArn=properties["TopicArn"],
            Protocol=properties["Protocol"],
            Endpoint=properties["Endpoint"],
            Attributes=attributes,
            ReturnSubscriptionArn=True,
        )
        return str(response["SubscriptionArn"])

    @classmethod
    def remove(cls, physical_id: str, _properties: dict[str, Any]) -> None:
        cls.surroundings.client("sns").unsubscribe(SubscriptionArn=physical_id)


ADDED_TYPES: Final = (_BucketPolicy, _TopicPolicy, _QueuePolicy, _Subscription, *OPERATIONS_TYPES)


def install(surroundings: Surroundings) -> None:
    ApiResource.surroundings = surroundings
