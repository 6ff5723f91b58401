"""What a template says of a bucket and moto's CloudFormation drops: versioning, events to EventBridge.

And one thing less: moto evaluates bucket policies without their conditions, so that "deny unless TLS" denies everything. Here
policies are kept and shown, not evaluated.
"""

from typing import Any

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from local.emulator.surroundings import Surroundings, replace


def install(surroundings: Surroundings) -> None:
    def create(cls: type[FakeBucket], name: str, resource: dict[str, Any], *args: Any, **kwargs: Any) -> FakeBucket:
        bucket: FakeBucket = create_in_moto(cls, name, resource, *args, **kwargs)
        _apply(surroundings, bucket.name, resource.get("Properties", {}))
        return bucket

    def update(cls: type[FakeBucket], original: Any, name: str, resource: dict[str, Any], *args: Any) -> FakeBucket:
        bucket: FakeBucket = update_in_moto(cls, original, name, resource, *args)
        _apply(surroundings, bucket.name, resource.get("Properties", {}))
        return bucket

    def leave_open(self: FakeBucket, action: str, resource: str) -> PermissionResult:  # noqa: ARG001
        return PermissionResult.NEUTRAL

    replace(FakeBucket, "get_permission", leave_open)
    create_in_moto = replace(FakeBucket, "create_from_cloudformation_json", classmethod(create))  # type: ignore[arg-type]
    update_in_moto = replace(FakeBucket, "update_from_cloudformation_json", classmethod(update))  # type: ignore[arg-type]


def _apply(surroundings: Surroundings, bucket: str, properties: dict[str, Any]) -> None:
    s3 = surroundings.client("s3")
    if versioning := properties.get("VersioningConfiguration"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=versioning)
    if properties.get("NotificationConfiguration", {}).get("EventBridgeConfiguration"):
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
