"""The table that knows every job: the truth when notifications are lost or repeated."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.data_key import DataKey
from infra.grants import grant
from whisperstack_contract.job_table import (
    ACTIVE,
    ACTIVE_INDEX,
    ACTIVE_PROJECTION,
    DEADLINE,
    ENDED,
    ENDED_AT,
    ENDED_INDEX,
    EXPIRES_AT,
    PARTITION_KEY,
)


class JobTable(Construct):
    def __init__(self, scope: Construct, construct_id: str, *, key: DataKey, removal_policy: RemovalPolicy) -> None:
        super().__init__(scope, construct_id)
        self._key = key
        # Table and not TableV2: one region needs no global table, and the embedded AWS has none.
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name=PARTITION_KEY, type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=key.key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(point_in_time_recovery_enabled=True),
            time_to_live_attribute=EXPIRES_AT,
            deletion_protection=removal_policy is RemovalPolicy.RETAIN,
            removal_policy=removal_policy,
        )
        self.table.add_global_secondary_index(
            index_name=ACTIVE_INDEX,
            partition_key=dynamodb.Attribute(name=ACTIVE, type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name=DEADLINE, type=dynamodb.AttributeType.NUMBER),
            # Whoever finds a job here must read its row before changing it: an index lags behind its table.
            projection_type=dynamodb.ProjectionType.INCLUDE,
            non_key_attributes=[*ACTIVE_PROJECTION],
        )
        self.table.add_global_secondary_index(
            index_name=ENDED_INDEX,
            partition_key=dynamodb.Attribute(name=ENDED, type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name=ENDED_AT, type=dynamodb.AttributeType.STRING),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )

    @property
    def table_name(self) -> str:
        return self.table.table_name

    def grant_create_jobs(self, grantee: iam.IRole) -> None:
        self._grant(grantee, "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")

    def grant_update_jobs(self, grantee: iam.IRole) -> None:
        self._grant(grantee, "dynamodb:GetItem", "dynamodb:UpdateItem")

    def grant_find_jobs(self, grantee: iam.IRole) -> None:
        """Allows to find unfinished jobs, and to change what is found; not to read the table from end to end."""
        self.grant_update_jobs(grantee)
        self.grant_look_up_many(grantee)
        grant(grantee, ["dynamodb:Query"], [f"{self.table.table_arn}/index/{ACTIVE_INDEX}"])

    def grant_look_up_many(self, grantee: iam.IRole) -> None:
        self._grant(grantee, "dynamodb:BatchGetItem")

    def _grant(self, grantee: iam.IRole, *actions: str) -> None:
        grant(grantee, actions, [self.table.table_arn])
        self._key.grant_use_of_table(grantee)
