"""A CloudFormation resource type that is made by calling its service's own API.

moto finds types through `CloudFormationModel.__subclasses__()`. So a direct subclass of that for each type is all it takes.
"""

from abc import abstractmethod
from typing import Any, ClassVar

from local.emulator.surroundings import Surroundings


class ApiResource:
    """Mixin of a type, which says how to put and how to remove one resource."""

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

    @classmethod
    def change(cls, physical_id: str, properties: dict[str, Any]) -> str:  # noqa: ARG003  # for types whose id `put` makes up
        """Update; returns the physical id. Needed where nothing in `properties` tells which resource it is."""
        return cls.put(properties)

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
        original_resource: Any,
        new_resource_name: str,  # noqa: ARG003
        cloudformation_json: Any,
        account_id: str,  # noqa: ARG003
        region_name: str,  # noqa: ARG003
    ) -> Any:
        return cls(cls.change(original_resource.physical_resource_id, cloudformation_json["Properties"]))

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: Any,
        account_id: str,  # noqa: ARG003
        region_name: str,  # noqa: ARG003
    ) -> None:
        cls.remove(resource_name, cloudformation_json["Properties"])
