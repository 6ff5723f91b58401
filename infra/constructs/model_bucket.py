"""Where released models lie, each under its digest."""

from aws_cdk import aws_iam as iam

from infra.constructs.private_bucket import PrivateBucket
from infra.grants import grant
from whisperstack_contract.keys import model_archive_key


class ModelBucket(PrivateBucket):
    def archive_url(self, digest: str) -> str:
        return self.bucket.s3_url_for_object(model_archive_key(digest))

    def grant_read_archive(self, grantee: iam.IGrantable, digest: str) -> None:
        """Allows to read one release and no other."""
        grant(grantee, ["s3:GetObject"], [self.bucket.arn_for_objects(model_archive_key(digest))])
