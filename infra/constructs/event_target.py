"""A function, and a state machine, as the target of an EventBridge rule."""

from typing import Any

import jsii
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs

from infra.constructs.python_function import PythonFunction
from infra.findings import accept_finding


@jsii.implements(events.IRuleTarget)
class FunctionTarget:
    """Unlike the CDK's own, it keeps the stack's name out of the permission's logical id, and never delivers twice on an error.

    The next run of a schedule comes soon enough, and a late one would act on what has passed.
    """

    def __init__(self, function: PythonFunction) -> None:
        self._function = function.function

    def bind(self, rule: Any, id: str | None = None) -> events.RuleTargetConfig:  # noqa: A002, ARG002  # the CDK's signature
        lambda_.CfnPermission(
            rule,
            "Invoke",
            action="lambda:InvokeFunction",
            function_name=self._function.function_arn,
            principal="events.amazonaws.com",
            source_arn=rule.rule_arn,
        )
        accept_finding(
            rule,
            "Serverless-EventBusDLQ",
            "The next run does what this one would have done; its event holds nothing that could be lost.",
        )
        return events.RuleTargetConfig(
            arn=self._function.function_arn, retry_policy=events.CfnRule.RetryPolicyProperty(maximum_retry_attempts=0)
        )


@jsii.implements(events.IRuleTarget)
class StateMachineTarget:
    """Executions under `role`. message: their input, or None for the event. undelivered: what was not started goes there."""

    def __init__(
        self, state_machine_arn: str, role: iam.IRole, undelivered: sqs.Queue, message: events.RuleTargetInput | None = None
    ) -> None:
        self._arn, self._role, self._undelivered, self._message = state_machine_arn, role, undelivered, message

    def bind(self, rule: Any, id: str | None = None) -> events.RuleTargetConfig:  # noqa: A002, ARG002  # the CDK's signature
        self._undelivered.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[
                    iam.ServicePrincipal("events.amazonaws.com", conditions={"ArnEquals": {"aws:SourceArn": rule.rule_arn}})
                ],
                actions=["sqs:SendMessage"],
                resources=[self._undelivered.queue_arn],
            )
        )
        return events.RuleTargetConfig(
            arn=self._arn,
            role=self._role,
            input=self._message,
            dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=self._undelivered.queue_arn),
        )
