"""Keys in a template may have tags. moto hands them to its KMS in CloudFormation's spelling, which KMS does not know."""

from typing import Any

from moto.kms.models import Key

from local.emulator.surroundings import replace


def install() -> None:
    def create(cls: type[Key], name: str, resource: dict[str, Any], *args: Any, **kwargs: Any) -> Key:
        properties = resource["Properties"]
        tags = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in properties.get("Tags", [])]
        key: Key = create_in_moto(cls, name, {**resource, "Properties": {**properties, "Tags": tags}}, *args, **kwargs)
        return key

    create_in_moto = replace(Key, "create_from_cloudformation_json", classmethod(create))  # type: ignore[arg-type]
