"""The one customer-managed key for everything that users entrust to the pipeline."""

from collections.abc import Mapping

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.grants import grant

_DATA_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")


class DataKey(Construct):
    """Rotated every year. Its policy stands here in full, so other stacks use the key and never change it."""

    def __init__(self, scope: Construct, construct_id: str, *, removal_policy: RemovalPolicy) -> None:
        super().__init__(scope, construct_id)
        self.key = kms.Key(
            self,
            "Key",
            description="Whisperstack: recordings, transcripts, jobs, messages and logs",
            enable_key_rotation=True,
            removal_policy=removal_policy,
        )
        self._allow_services()

    def grant_use(self, grantee: iam.IGrantable) -> None:
        """Allows to read and write encrypted objects and messages."""
        grant(grantee, [*_DATA_ACTIONS], [self.key.key_arn])

    def grant_use_of_table(self, grantee: iam.IGrantable) -> None:
        """Allows to use an encrypted table, which calls KMS for the caller."""
        stack = Stack.of(self)
        grant(
            grantee,
            ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"],
            [self.key.key_arn],
            {"StringEquals": {"kms:ViaService": f"dynamodb.{stack.region}.{stack.url_suffix}"}},
        )

    def grant_volume(self, grantee: iam.IGrantable) -> None:
        """Allows SageMaker to attach an instance's encrypted volume for the role."""
        grant(grantee, ["kms:CreateGrant"], [self.key.key_arn], {"Bool": {"kms:GrantIsForAWSResource": "true"}})

    def _allow_services(self) -> None:
        stack = Stack.of(self)
        # EventBridge sets no source for KMS, and drops events silently when the key refuses them.
        self._allow("EventsToQueues", "events.amazonaws.com", _DATA_ACTIONS, {})
        self._allow(
            "TopicsToQueues",
            "sns.amazonaws.com",
            _DATA_ACTIONS,
            {"ArnLike": {"aws:SourceArn": stack.format_arn(service="sns", resource="*")}},
        )
        # Both set their account, and without these grants an alarm changes its state and nobody hears of it.
        own_account = {"StringEquals": {"aws:SourceAccount": stack.account}}
        self._allow("AlarmsToTopics", "cloudwatch.amazonaws.com", _DATA_ACTIONS, own_account)
        self._allow("BudgetsToTopics", "budgets.amazonaws.com", _DATA_ACTIONS, own_account)
        self._allow(
            "FunctionLogs",
            f"logs.{stack.region}.amazonaws.com",
            ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"),
            {
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": stack.format_arn(
                        service="logs", resource="log-group", resource_name="*", arn_format=ArnFormat.COLON_RESOURCE_NAME
                    )
                }
            },
        )

        # Step Functions writes the logs of encrypted state machines through this service. Source: Step Functions developer
        # guide, "Data at rest encryption".
        self._allow(
            "StateMachineLogs",
            "delivery.logs.amazonaws.com",
            ("kms:Decrypt",),
            {"ArnLike": {"kms:EncryptionContext:SourceArn": stack.format_arn(service="logs", resource="*")}},
        )

    def _allow(self, sid: str, service: str, actions: tuple[str, ...], conditions: Mapping[str, object]) -> None:
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                principals=[iam.ServicePrincipal(service)],
                actions=[*actions],
                resources=["*"],
                conditions=conditions,
            )
        )
