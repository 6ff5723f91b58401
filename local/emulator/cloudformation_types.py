"""Resource types that moto's CloudFormation silently passes over, made by calling the service's own API.

moto finds types through `CloudFormationModel.__subclasses__()`. So a direct subclass for each type is all it takes.
"""

import json
from abc import abstractmethod
from typing import Any, ClassVar, Final

from moto.core.common_models import CloudFormationModel

from local.emulator.surroundings import Surroundings


class _ApiResource:
    """Mixin of the types below. A type says how to put and how to remove one resource."""

    surroundings: ClassVar[Surroundings]
    cfn_type: ClassVar[str]

    def __init__(self, physical_resource_id: str) -> None:
        self._physical_resource_id = physical_resource_id

    @classmethod
    @abstractmethod
    def put(cls, properties: dict[str, Any]) -> str:
        """Create or update; returns the physical id."""

    @classmethod
    @abstractmethod
    def remove(cls, physical_id: str, properties: dict[str, Any]) -> None:
        """Undo `put`."""

    @property
    def physical_resource_id(self) -> str:
        return self._physical_resource_id

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @classmethod
    def cloudformation_type(cls) -> str:
        return cls.cfn_type

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr == "Arn"

    def get_cfn_attribute(self, _attribute_name: str) -> str:
        return self._physical_resource_id

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,  # noqa: ARG003  # moto's signature, here and below
        cloudformation_json: Any,
        account_id: str,  # noqa: ARG003
        region_name: str,  # noqa: ARG003
        **kwargs: Any,  # noqa: ARG003
    ) -> Any:
        return cls(cls.put(cloudformation_json["Properties"]))

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Any,  # noqa: ARG003
        new_resource_name: str,  # noqa: ARG003
        cloudformation_json: Any,
        account_id: str,  # noqa: ARG003
        region_name: str,  # noqa: ARG003
    ) -> Any:
        return cls(cls.put(cloudformation_json["Properties"]))

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: Any,
        account_id: str,  # noqa: ARG003
        region_name: str,  # noqa: ARG003
    ) -> None:
        cls.remove(resource_name, cloudformation_json["Properties"])


class _BucketPolicy(_ApiResource, CloudFormationModel):
    cfn_type = "AWS::S3::BucketPolicy"

    @classmethod
    def put(cls, properties: dict[str, Any]) -> str:
        bucket: str = properties["Bucket"]
        cls.surroundings.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(properties["PolicyDocument"]))
        return bucket

    @classmethod
    def remove(cls, physical_id: str, _properties: dict[str, Any]) -> None:
        cls.surroundings.client("s3").delete_bucket_policy(Bucket=physical_id)


class _TopicPolicy(_ApiResource, CloudFormationModel):
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


class _QueuePolicy(_ApiResource, CloudFormationModel):
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


class _Subscription(_ApiResource, CloudFormationModel):
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


ADDED_TYPES: Final = (_BucketPolicy, _TopicPolicy, _QueuePolicy, _Subscription)


def install(surroundings: Surroundings) -> None:
    _ApiResource.surroundings = surroundings
