"""The state machine that takes a folder of recordings from a plan to a report, and the role that it runs under."""

import json
from collections.abc import Mapping

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from infra.batch_definition import Functions, TransformJob, batch_definition
from infra.constructs.batch_functions import BatchFunctions, transform_jobs
from infra.constructs.batch_model import BatchModel
from infra.constructs.job_storage import JobStorage
from infra.grants import grant, grant_wildcard
from infra.inference_options import BatchSettings

# How long a data key serves; each new one is a call of KMS.
_DATA_KEY_SECONDS = 900

# Through which Step Functions hears of the ends of jobs. Source: Step Functions developer guide, "IAM policies for SageMaker".
_EVENTS_RULE = "StepFunctionsGetEventsForSageMakerTransformJobsRule"

_JOBS_REASON = "Step Functions names a job after its shard, and new ones come all the time; no other project's names begin so."
_CHILDREN_REASON = "Each shard is an execution of its own, below this state machine's name; no other one is covered."
_TRACES_REASON = "X-Ray and the delivery of logs have no resource to be narrowed to; nothing else is on '*'."


class BatchWorkflow(Construct):
    """job_prefix: what the names of all transform jobs begin with. job_tags: of every job, so that budgets count it."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        storage: JobStorage,
        functions: BatchFunctions,
        model: BatchModel,
        settings: BatchSettings,
        job_prefix: str,
        job_tags: Mapping[str, str],
        log_retention: logs.RetentionDays,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(
                "states.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
            ),
        )
        self._grant_work(storage, functions, job_prefix)
        self._grant_observability()
        log_group = logs.LogGroup(
            self, "Logs", retention=log_retention, encryption_key=key, removal_policy=RemovalPolicy.DESTROY
        )
        definition = batch_definition(
            Functions(
                functions.plan.function.function_arn,
                int(functions.plan.timeout.to_seconds()),
                functions.collect.function.function_arn,
                int(functions.collect.timeout.to_seconds()),
            ),
            TransformJob(
                model_name=model.model_name,
                settings=settings,
                ami_version=model.transform_ami_version if settings.instance.has_gpu else None,
                volume_key=None if settings.instance.has_local_disk else key.key_arn,
                output_key=key.key_arn,
                tags={**job_tags},
            ),
        )
        self._machine = stepfunctions.CfnStateMachine(
            self,
            "StateMachine",
            role_arn=self.role.role_arn,
            # Not by the stack, which leaves out what is null, and null has a meaning here.
            definition_string=json.dumps(definition),
            state_machine_type="STANDARD",
            tracing_configuration=stepfunctions.CfnStateMachine.TracingConfigurationProperty(enabled=True),
            # Without data: inputs hold the names of folders, and items the options of recordings.
            logging_configuration=stepfunctions.CfnStateMachine.LoggingConfigurationProperty(
                level="ALL",
                include_execution_data=False,
                destinations=[
                    stepfunctions.CfnStateMachine.LogDestinationProperty(
                        cloud_watch_logs_log_group=stepfunctions.CfnStateMachine.CloudWatchLogsLogGroupProperty(
                            log_group_arn=log_group.log_group_arn
                        )
                    )
                ],
            ),
            encryption_configuration=stepfunctions.CfnStateMachine.EncryptionConfigurationProperty(
                type="CUSTOMER_MANAGED_KMS_KEY",
                kms_key_id=key.key_arn,
                kms_data_key_reuse_period_seconds=_DATA_KEY_SECONDS,
            ),
        )
        # Step Functions tries the role's access to key and logs when it creates the machine.
        self._machine.node.add_dependency(self.role.node.find_child("DefaultPolicy"))
        self._grant_children()
        self._grant_looking(functions.plan.role)

    @property
    def arn(self) -> str:
        return self._machine.ref

    def metric(self, name: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/States",
            metric_name=name,
            dimensions_map={"StateMachineArn": self.arn},
            statistic="Sum",
            period=Duration.minutes(5),
        )

    def _grant_work(self, storage: JobStorage, functions: BatchFunctions, job_prefix: str) -> None:
        called = [functions.plan.function.function_arn, functions.collect.function.function_arn]
        grant(self.role, ["lambda:InvokeFunction"], called)
        storage.audio.grant_read_shards(self.role)
        storage.key.grant_use(self.role)
        grant_wildcard(
            self.role,
            [
                *("sagemaker:AddTags", "sagemaker:CreateTransformJob"),
                *("sagemaker:DescribeTransformJob", "sagemaker:StopTransformJob"),
            ],
            [transform_jobs(self, job_prefix)],
            _JOBS_REASON,
        )
        rule = Stack.of(self).format_arn(service="events", resource="rule", resource_name=_EVENTS_RULE)
        grant(self.role, ["events:DescribeRule", "events:PutRule", "events:PutTargets"], [rule])

    def _grant_observability(self) -> None:
        # Source: Step Functions developer guide, "Logging in CloudWatch Logs" and "X-Ray".
        actions = ["CreateLogDelivery", "DeleteLogDelivery", "DescribeLogGroups", "DescribeResourcePolicies", "GetLogDelivery"]
        actions += ["ListLogDeliveries", "PutResourcePolicy", "UpdateLogDelivery"]
        grant_wildcard(self.role, [f"logs:{action}" for action in actions], ["*"], _TRACES_REASON)
        traces = ["GetSamplingRules", "GetSamplingTargets", "PutTelemetryRecords", "PutTraceSegments"]
        grant(self.role, [f"xray:{action}" for action in traces], ["*"])

    def _grant_children(self) -> None:
        """A policy of its own, since the machine must wait for the role's other one."""
        children = iam.Policy(self, "Children", roles=[self.role])
        grant(children, ["states:StartExecution"], [self.arn])
        actions = ["states:DescribeExecution", "states:RedriveExecution", "states:StopExecution"]
        grant_wildcard(children, actions, [self._executions("/*")], _CHILDREN_REASON)

    def _grant_looking(self, planner: iam.IRole) -> None:
        """Whether the execution that has a run is still under way."""
        looking = iam.Policy(self, "Executions", roles=[planner])
        grant_wildcard(looking, ["states:DescribeExecution"], [self._executions(":*")], _CHILDREN_REASON)

    def _executions(self, rest: str) -> str:
        return Stack.of(self).format_arn(
            service="states",
            resource="execution",
            resource_name=f"{self._machine.attr_name}{rest}",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
