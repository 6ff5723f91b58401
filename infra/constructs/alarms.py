"""Alarms that a person acts on: each tells what it means and where to read on, and goes to one topic."""

import re
from collections.abc import Mapping

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.python_function import PythonFunction
from infra.findings import accept_finding


class AlarmTopic(Construct):
    """email: subscribed where there is one; the address must confirm."""

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey, email: str | None) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Topic", master_key=key, enforce_ssl=True)
        for service in ("cloudwatch.amazonaws.com", "budgets.amazonaws.com"):
            sender = iam.ServicePrincipal(service, conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}})
            self.topic.add_to_resource_policy(
                iam.PolicyStatement(principals=[sender], actions=["sns:Publish"], resources=[self.topic.topic_arn])
            )
        if email:
            subscription = sns.Subscription(
                self, "Email", topic=self.topic, protocol=sns.SubscriptionProtocol.EMAIL, endpoint=email
            )
            accept_finding(
                subscription,
                "Serverless-SNSRedrivePolicy",
                "A queue that nobody is told of would not help; CloudWatch keeps the alarm's state, mail or no mail.",
            )


class Alarms:
    """Makes alarms that tell `topic`. runbook_url: of the page with a section for each alarm, headed by its name."""

    def __init__(self, topic: sns.ITopic, runbook_url: str) -> None:
        self._topic = topic
        self._runbook_url = runbook_url
        self.made: list[cloudwatch.Alarm] = []

    def at_least(
        self,
        scope: Construct,
        name: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        *,
        meaning: str,
        periods: int = 1,
        missing_is_bad: bool = False,
    ) -> cloudwatch.Alarm:
        """An alarm for `threshold` or more in each of `periods`. meaning: one sentence for the person who is woken.

        missing_is_bad: whether no datum counts as reaching the threshold. Most metrics have none where nothing happens.
        """
        return self._alarm(
            scope,
            name,
            metric,
            threshold,
            meaning,
            periods,
            cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            missing_is_bad,
        )

    def below(
        self, scope: Construct, name: str, metric: cloudwatch.IMetric, threshold: float, *, meaning: str, periods: int = 1
    ) -> cloudwatch.Alarm:
        """An alarm for less than `threshold`, or nothing at all, in each of `periods`."""
        return self._alarm(
            scope, name, metric, threshold, meaning, periods, cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD, True
        )

    def dead_letters(self, scope: Construct, name: str, queue: sqs.IQueue, meaning: str) -> cloudwatch.Alarm:
        metric = cloudwatch.Metric(
            namespace="AWS/SQS",
            metric_name="ApproximateNumberOfMessagesVisible",
            dimensions_map={"QueueName": queue.queue_name},
            statistic="Maximum",
            period=Duration.minutes(5),
        )
        return self.at_least(scope, name, metric, 1, meaning=meaning)

    def function_errors(self, scope: Construct, name: str, function: PythonFunction, meaning: str) -> cloudwatch.Alarm:
        metric = cloudwatch.Metric(
            namespace="AWS/Lambda",
            metric_name="Errors",
            dimensions_map={"FunctionName": function.function.function_name},
            statistic="Sum",
            period=Duration.minutes(5),
        )
        # A single failure is delivered again by its queue or its schedule.
        return self.at_least(scope, name, metric, 1, meaning=meaning, periods=3)

    def idle(
        self, scope: Construct, name: str, invocations: cloudwatch.IMetric, ours: Mapping[str, cloudwatch.IMetric], hours: int
    ) -> cloudwatch.Alarm:
        """For an endpoint that always has an instance: nobody but us has invoked it for `hours`, 1 to 24, and it still costs.

        ours: what our own canaries add to `invocations`, by a name for the formula.
        """
        foreign = cloudwatch.MathExpression(
            expression=" - ".join(["invocations", *(f"FILL({name}, 0)" for name in ours)]),
            using_metrics={"invocations": invocations, **ours},
            label="Invocations by others",
            period=Duration.hours(1),
        )
        meaning = f"Nobody has used the real-time endpoint for {hours} hours, and its instances cost money all the same."
        return self.below(scope, name, foreign, 1, meaning=meaning, periods=hours)

    def _alarm(
        self,
        scope: Construct,
        name: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        meaning: str,
        periods: int,
        comparison: cloudwatch.ComparisonOperator,
        missing_is_bad: bool,
    ) -> cloudwatch.Alarm:
        missing = cloudwatch.TreatMissingData.BREACHING if missing_is_bad else cloudwatch.TreatMissingData.NOT_BREACHING
        alarm = cloudwatch.Alarm(
            scope,
            name,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=comparison,
            treat_missing_data=missing,
            alarm_description=f"{meaning} Runbook: {self._runbook_url}#{section_of(name)}",
        )
        action = actions.SnsAction(self._topic)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)
        self.made.append(alarm)
        return alarm


def section_of(name: str) -> str:
    """The anchor of an alarm's section: 'IntakeDeadLetters' → 'intake-dead-letters', which is headed 'Intake dead letters'."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
