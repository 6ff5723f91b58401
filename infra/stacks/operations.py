"""Where alarms are told, and the month's budget. The alarms themselves stand beside what they watch."""

from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.constructs.alarms import AlarmTopic
from infra.constructs.data_key import DataKey
from infra.operations import OperationsSettings

# Actual costs at four fifths, and costs that are forecast to reach the whole.
_NOTIFICATIONS = (("ACTUAL", 80), ("FORECASTED", 100))


class OperationsStack(Stack):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        key: DataKey,
        settings: OperationsSettings,
        project_tag: str,
        **stack_settings: Any,
    ) -> None:
        super().__init__(scope, construct_id, **stack_settings)
        imported = kms.Key.from_key_arn(self, "DataKey", key.key.key_arn)
        self.alarm_topic = AlarmTopic(self, "Alarms", key=imported, email=settings.alarm_email).topic
        if settings.monthly_budget_usd is not None:
            self._budget(settings.monthly_budget_usd, project_tag)
        CfnOutput(self, "AlarmTopicArn", value=self.alarm_topic.topic_arn)

    def _budget(self, usd: float, project_tag: str) -> None:
        subscriber = budgets.CfnBudget.SubscriberProperty(address=self.alarm_topic.topic_arn, subscription_type="SNS")
        budget = budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=usd, unit="USD"),
                # Counts only once the tag is activated for cost allocation in the billing console.
                cost_filters={"TagKeyValue": [f"user:Project${project_tag}"]},
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        comparison_operator="GREATER_THAN",
                        notification_type=kind,
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[subscriber],
                )
                for kind, percent in _NOTIFICATIONS
            ],
        )
        # Budgets publishes a test message when it is created, and fails where the topic's policy does not let it.
        budget.node.add_dependency(self.alarm_topic)
