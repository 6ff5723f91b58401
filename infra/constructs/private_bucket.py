"""A bucket as every one of ours is: private, encrypted, versioned, TLS only, its accesses logged."""

from collections.abc import Sequence
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.data_key import DataKey
from infra.grants import grant, grant_wildcard

# Long enough for a slow upload of a large file, short enough that abandoned parts cost little.
_INCOMPLETE_UPLOADS = Duration.days(7)


class PrivateBucket(Construct):
    """Encrypted with our own key; its accesses are logged to `access_logs` under the construct's id."""

    def __init__(
        self, scope: Construct, construct_id: str, *, key: DataKey, access_logs: s3.IBucket, removal_policy: RemovalPolicy
    ) -> None:
        super().__init__(scope, construct_id)
        self.bucket = _bucket(
            self,
            removal_policy,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key.key,
            bucket_key_enabled=True,
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix=f"{construct_id}/",
        )

    @property
    def bucket_name(self) -> str:
        return self.bucket.bucket_name

    @property
    def cfn_bucket(self) -> s3.CfnBucket:
        bucket = self.bucket.node.default_child
        if not isinstance(bucket, s3.CfnBucket):
            raise TypeError(f"{self.node.path} holds a {type(bucket).__name__} where its bucket should be")
        return bucket

    def expire_objects(self, prefix: str, after: Duration) -> None:
        """Hides what lies below `prefix` after that time, and removes it for good a day later."""
        self.bucket.add_lifecycle_rule(prefix=prefix, expiration=after, noncurrent_version_expiration=Duration.days(1))

    def grant_list(self, grantee: iam.IRole) -> None:
        """Without it S3 answers 403 for an object that is not there, which looks like a missing permission."""
        grant(grantee, ["s3:ListBucket"], [self.bucket.bucket_arn])

    def grant_objects(
        self, grantee: iam.IRole | iam.Policy, actions: Sequence[str], patterns: Sequence[str], reason: str
    ) -> None:
        """Allows `actions` on the keys that match `patterns`, each of which holds a wildcard that `reason` explains."""
        # Exported explicitly, because the reason must name the ARN as the template will have it, before synthesis.
        arn = Stack.of(self).export_value(self.bucket.bucket_arn)
        grant_wildcard(grantee, actions, [f"{arn}/{pattern}" for pattern in patterns], reason)


class AccessLogsBucket(Construct):
    """Where S3 writes its access logs. Encrypted with S3's own keys: log delivery cannot use a customer-managed one."""

    def __init__(self, scope: Construct, construct_id: str, *, keep: Duration, removal_policy: RemovalPolicy) -> None:
        super().__init__(scope, construct_id)
        self.bucket = _bucket(self, removal_policy, encryption=s3.BucketEncryption.S3_MANAGED)
        self.bucket.add_lifecycle_rule(expiration=keep, noncurrent_version_expiration=Duration.days(1))


def _bucket(scope: Construct, removal_policy: RemovalPolicy, **encryption_and_logs: Any) -> s3.Bucket:
    return s3.Bucket(
        scope,
        "Bucket",
        enforce_ssl=True,
        versioned=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        removal_policy=removal_policy,
        lifecycle_rules=[
            s3.LifecycleRule(
                abort_incomplete_multipart_upload_after=_INCOMPLETE_UPLOADS,
                # A marker whose versions are all gone hides nothing and slows listings down.
                expired_object_delete_marker=True,
            )
        ],
        **encryption_and_logs,
    )
