"""Where users upload recordings, and where the copy of each version lies while its job runs."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.data_key import DataKey
from infra.constructs.private_bucket import PrivateBucket
from infra.grants import grant
from infra.retention import RetentionSettings
from whisperstack_contract.keys import BATCH_WORK_PREFIX, CANARY_KEY, STAGED_PREFIX, UPLOAD_PREFIXES

_UPLOADS_REASON = "Users name their uploads, so the function cannot know the keys below these prefixes; it may only read there."
_WORK_REASON = "Every execution of a batch has a folder of its own there; no other prefix is covered."
_STAGED_REASON = "Every job has a staged copy named by its id, and new jobs come all the time; no other prefix is covered."

_UPLOADS = [f"{prefix}*" for prefix in UPLOAD_PREFIXES]


class AudioBucket(PrivateBucket):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        key: DataKey,
        access_logs: s3.IBucket,
        retention: RetentionSettings,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id, key=key, access_logs=access_logs, removal_policy=removal_policy)
        self.expire_objects(STAGED_PREFIX, retention.intermediate_for)
        if retention.recordings_for:
            for prefix in UPLOAD_PREFIXES:
                self.expire_objects(prefix, retention.recordings_for)
        # The L2's own switch would add a custom resource with a function that may change every bucket.
        self.cfn_bucket.add_property_override("NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", True)

    def grant_read_uploads(self, grantee: iam.IRole) -> None:
        """Allows to read any version of an upload, and to tell a missing one from a forbidden one."""
        self.grant_list(grantee)
        self.grant_objects(grantee, ["s3:GetObject", "s3:GetObjectVersion"], _UPLOADS, _UPLOADS_REASON)

    def grant_see_current(self, grantee: iam.IRole) -> None:
        """Allows to tell which version of an upload is current, which takes permission to read that one."""
        self.grant_list(grantee)
        self.grant_objects(grantee, ["s3:GetObject"], _UPLOADS, _UPLOADS_REASON)

    def grant_list_versions(self, grantee: iam.IRole) -> None:
        grant(grantee, ["s3:ListBucketVersions"], [self.bucket.bucket_arn])

    def grant_read_staged(self, grantee: iam.IRole) -> None:
        self.grant_objects(grantee, ["s3:GetObject"], [f"{STAGED_PREFIX}*"], _STAGED_REASON)

    def grant_write_staged(self, grantee: iam.IRole) -> None:
        self.grant_objects(grantee, ["s3:PutObject"], [f"{STAGED_PREFIX}*"], _STAGED_REASON)

    def grant_batch_work(self, grantee: iam.IRole) -> None:
        """Allows to read and write the working files of batches."""
        self.grant_list(grantee)
        self.grant_objects(grantee, ["s3:GetObject", "s3:PutObject"], [f"{BATCH_WORK_PREFIX}*"], _WORK_REASON)

    def grant_read_shards(self, grantee: iam.IRole) -> None:
        """Allows to read the lists of a batch's shards."""
        self.grant_objects(grantee, ["s3:GetObject"], [f"{BATCH_WORK_PREFIX}*/shards.json"], _WORK_REASON)

    def grant_write_canary(self, grantee: iam.IRole) -> None:
        grant(grantee, ["s3:PutObject"], [self.bucket.arn_for_objects(CANARY_KEY)])
