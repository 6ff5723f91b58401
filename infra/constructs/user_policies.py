"""Ready-made permissions for the people and programs that upload and read; attach them to their roles or groups.

They are policies of the account's own, attached to nothing here: who uploads and who reads is not ours to know.
"""

from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.data_key import DataKey
from infra.constructs.job_storage import JobStorage
from infra.findings import accept_finding
from infra.grants import grant
from whisperstack_contract.keys import RESULT_PREFIXES, UPLOAD_PREFIXES


class UserPolicies(Construct):
    def __init__(self, scope: Construct, construct_id: str, *, storage: JobStorage) -> None:
        super().__init__(scope, construct_id)
        self.uploader = iam.ManagedPolicy(self, "Uploader", description="Upload recordings to be transcribed")
        _grant_objects(
            self.uploader,
            ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
            storage.audio.bucket,
            UPLOAD_PREFIXES,
        )
        # A multipart upload reads its own parts back to put them together.
        _grant_key_through_s3(self.uploader, ["kms:GenerateDataKey", "kms:Decrypt"], storage.key)

        self.reader = iam.ManagedPolicy(self, "Reader", description="Read transcripts and error documents")
        _grant_objects(self.reader, ["s3:GetObject"], storage.transcripts.bucket, RESULT_PREFIXES)
        listed = {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in RESULT_PREFIXES]}}
        grant(self.reader, ["s3:ListBucket"], [storage.transcripts.bucket.bucket_arn], listed)
        _grant_key_through_s3(self.reader, ["kms:Decrypt"], storage.key)


def _grant_objects(policy: iam.ManagedPolicy, actions: Sequence[str], bucket: s3.Bucket, prefixes: Sequence[str]) -> None:
    stack = Stack.of(policy)
    for prefix in prefixes:
        name = stack.get_logical_id(_cfn_bucket(bucket))
        accept_finding(
            policy,
            f"AwsSolutions-IAM5[Resource::<{name}.Arn>/{prefix}*]",
            "Users name their uploads, and results are named after them: keys cannot be listed beforehand. No other prefix.",
        )
    grant(policy, actions, [bucket.arn_for_objects(f"{prefix}*") for prefix in prefixes])


def _grant_key_through_s3(policy: iam.ManagedPolicy, actions: Sequence[str], key: DataKey) -> None:
    stack = Stack.of(policy)
    grant(
        policy,
        actions,
        [key.key.key_arn],
        {"StringEquals": {"kms:ViaService": f"s3.{stack.region}.{stack.url_suffix}"}},
    )


def _cfn_bucket(bucket: s3.Bucket) -> s3.CfnBucket:
    found = bucket.node.default_child
    if not isinstance(found, s3.CfnBucket):
        raise TypeError(f"{bucket.node.path} holds a {type(found).__name__} where its bucket should be")
    return found
