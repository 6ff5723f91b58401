"""Where released models lie, each under its digest: as an archive and, where an endpoint wants that, as the archive's files."""

from aws_cdk import aws_iam as iam

from infra.constructs.private_bucket import PrivateBucket
from infra.grants import grant
from whisperstack_contract.keys import model_archive_key, model_folder_prefix


class ModelBucket(PrivateBucket):
    def archive_url(self, digest: str) -> str:
        return self.bucket.s3_url_for_object(model_archive_key(digest))

    def folder_url(self, digest: str) -> str:
        return self.bucket.s3_url_for_object(model_folder_prefix(digest))

    def grant_read_archive(self, grantee: iam.Policy, digest: str) -> None:
        """Allows to read one release and no other."""
        grant(grantee, ["s3:GetObject"], [self.bucket.arn_for_objects(model_archive_key(digest))])

    def grant_read_folder(self, grantee: iam.Policy, digest: str) -> None:
        """The same for the files of a release, which SageMaker lists before it reads them."""
        prefix = model_folder_prefix(digest)
        reason = "The files of one release, which lie below its digest; the archive's manifest lists them."
        self.grant_objects(grantee, ["s3:GetObject"], [f"{prefix}*"], reason)
        grant(grantee, ["s3:ListBucket"], [self.bucket.bucket_arn], {"StringLike": {"s3:prefix": f"{prefix}*"}})
