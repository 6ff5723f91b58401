"""Where results lie: what the endpoint wrote, and what users read."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.data_key import DataKey
from infra.constructs.private_bucket import PrivateBucket
from infra.retention import RetentionSettings
from whisperstack_contract.keys import (
    BATCH_ERRORS_PREFIX,
    BATCH_REPORTS_PREFIX,
    BATCH_TRANSCRIPTS_PREFIX,
    CAPTURED_PREFIX,
    ERROR_SUFFIX,
    ERRORS_PREFIX,
    FAILURES_PREFIX,
    LONG_ERRORS_PREFIX,
    LONG_TRANSCRIPTS_PREFIX,
    RAW_BATCH_PREFIX,
    RAW_PREFIX,
    RESULT_PREFIXES,
    TRANSCRIPTS_PREFIX,
    VERSIONS_PREFIX,
    canary_extension,
)

_NAMED_BY_UPLOAD = (
    "Results are named after uploads, which users name, so the keys below this prefix cannot be listed beforehand."
)
_NAMED_BY_SAGEMAKER = "SageMaker names what it captures by the endpoint and the hour; no other prefix is covered."
_NAMED_BY_JOB = "Objects below this prefix are named after jobs, and new jobs come all the time; no other prefix is covered."


class TranscriptsBucket(PrivateBucket):
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
        self.expire_objects(RAW_PREFIX, retention.intermediate_for)
        self.expire_objects(FAILURES_PREFIX, retention.intermediate_for)
        self.expire_objects(CAPTURED_PREFIX, retention.captured_for)
        if retention.transcripts_for:
            for prefix in RESULT_PREFIXES:
                self.expire_objects(prefix, retention.transcripts_for)

    @property
    def raw_url(self) -> str:
        return self.bucket.s3_url_for_object(RAW_PREFIX)

    @property
    def failures_url(self) -> str:
        return self.bucket.s3_url_for_object(FAILURES_PREFIX)

    @property
    def captured_url(self) -> str:
        return self.bucket.s3_url_for_object(CAPTURED_PREFIX)

    def grant_write_captured(self, grantee: iam.IRole) -> None:
        self._grant(grantee, ["s3:PutObject"], [CAPTURED_PREFIX], _NAMED_BY_SAGEMAKER)

    def grant_write_raw(self, grantee: iam.IRole) -> None:
        self._grant(grantee, ["s3:PutObject"], [RAW_PREFIX, FAILURES_PREFIX], _NAMED_BY_JOB)

    def grant_write_batch_output(self, grantee: iam.IRole) -> None:
        self._grant(grantee, ["s3:PutObject"], [RAW_BATCH_PREFIX], _NAMED_BY_JOB)

    def grant_read_raw(self, grantee: iam.IRole) -> None:
        self.grant_list(grantee)
        self._grant(grantee, ["s3:GetObject"], [RAW_PREFIX, FAILURES_PREFIX], _NAMED_BY_JOB)

    def grant_read_batch_output(self, grantee: iam.IRole) -> None:
        self.grant_list(grantee)
        self._grant(grantee, ["s3:GetObject"], [RAW_BATCH_PREFIX], _NAMED_BY_JOB)

    def grant_read_canaries(self, grantee: iam.IRole) -> None:
        """Failures too, whose names SageMaker makes up."""
        self.grant_list(grantee)
        answers = f"{RAW_PREFIX}{canary_extension('')}"
        self._grant(grantee, ["s3:GetObject"], [answers, FAILURES_PREFIX], _NAMED_BY_JOB)

    def grant_write_errors(self, grantee: iam.IRole) -> None:
        """Allows to write an error document, and to look for and remove one that a success contradicts."""
        self.grant_list(grantee)
        actions = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"]
        self._grant(grantee, actions, [ERRORS_PREFIX, LONG_ERRORS_PREFIX, BATCH_ERRORS_PREFIX], _NAMED_BY_UPLOAD)
        self.grant_objects(grantee, actions, [f"{VERSIONS_PREFIX}*.{ERROR_SUFFIX}"], _NAMED_BY_JOB)

    def grant_write_transcripts(self, grantee: iam.IRole) -> None:
        """Allows to write every kind of result, to see what it would replace, and to take it back."""
        self.grant_write_errors(grantee)
        actions = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"]
        named_by_upload = [TRANSCRIPTS_PREFIX, LONG_TRANSCRIPTS_PREFIX, BATCH_TRANSCRIPTS_PREFIX]
        self._grant(grantee, actions, named_by_upload, _NAMED_BY_UPLOAD)
        self._grant(grantee, actions, [VERSIONS_PREFIX], _NAMED_BY_JOB)

    def grant_write_reports(self, grantee: iam.IRole) -> None:
        self._grant(grantee, ["s3:PutObject"], [BATCH_REPORTS_PREFIX], _NAMED_BY_UPLOAD)

    def _grant(self, grantee: iam.IRole, actions: list[str], prefixes: list[str], reason: str) -> None:
        self.grant_objects(grantee, actions, [f"{prefix}*" for prefix in prefixes], reason)
