"""A Lambda function from one package below lambda/, with its own role, log group and settings."""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.private_network import PrivateNetwork
from infra.findings import accept_finding
from infra.function_code import stage_function


@dataclass(frozen=True)
class FunctionPlatform:
    """What the functions of a stack have in common. key: of their logs. network: None leaves them in Lambda's own."""

    log_retention: logs.RetentionDays
    key: kms.IKey
    network: PrivateNetwork | None


class PythonFunction(Construct):
    """variables: the function's environment, by names from the contract. Grants go to `role`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        package: str,
        variables: Mapping[str, str],
        timeout: Duration,
        memory_mib: int,
        platform: FunctionPlatform,
    ) -> None:
        super().__init__(scope, construct_id)
        self.timeout = timeout
        log_group = logs.LogGroup(
            self,
            "Logs",
            retention=platform.log_retention,
            encryption_key=platform.key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log_group.grant_write(self.role)
        code = stage_function(package)
        self.function = lambda_.Function(
            self,
            "Function",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            code=lambda_.Code.from_asset(str(code.path), asset_hash=code.digest),
            handler=f"{package}.handler.lambda_handler",
            role=self.role,
            environment={"POWERTOOLS_SERVICE_NAME": package, "POWERTOOLS_LOG_LEVEL": "INFO", **variables},
            timeout=timeout,
            memory_size=memory_mib,
            log_group=log_group,
            tracing=lambda_.Tracing.ACTIVE,
        )
        # The L2 lets the function wait for its role as well as for the role's policy; cfn-lint calls the first needless.
        self.cfn_function.add_metadata("cfn-lint", {"config": {"ignore_checks": ["W3005"]}})
        if platform.network is not None:
            platform.network.place_function(self.cfn_function, self.role)
        accept_finding(
            self.role,
            "AwsSolutions-IAM5[Resource::*]",
            "X-Ray's PutTraceSegments and PutTelemetryRecords have no resource to be narrowed to; nothing else is on '*'.",
        )
        for rule in ("AwsSolutions-L1", "Serverless-LambdaLatestVersion"):
            accept_finding(
                self.function,
                rule,
                "Python 3.13 is the newest version that the code is tested on; it gets security fixes until 10/2029 (PEP 719).",
            )
        accept_finding(
            self.function,
            "Serverless-LambdaDLQ",
            "A queue keeps what failed, or a schedule runs the function again; nothing is in the event that would be lost.",
        )

    @property
    def cfn_function(self) -> lambda_.CfnFunction:
        function = self.function.node.default_child
        if not isinstance(function, lambda_.CfnFunction):
            raise TypeError(f"{self.node.path} holds a {type(function).__name__} where its function should be")
        return function
