"""What begins a batch by itself: a marker that lands in a folder, and a schedule."""

from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.constructs.batch_workflow import BatchWorkflow
from infra.constructs.event_target import StateMachineTarget
from infra.constructs.job_storage import JobStorage
from infra.constructs.work_queue import dead_letter_queue
from infra.grants import grant
from infra.inference_options import BatchSchedule
from whisperstack_contract.keys import BATCH_PREFIX, START_MARKER


class BatchStarts(Construct):
    """schedule: None leaves it to markers and commands."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        storage: JobStorage,
        workflow: BatchWorkflow,
        schedule: BatchSchedule | None,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id)
        self.undelivered = dead_letter_queue(
            self,
            "Undelivered",
            key=key,
            reason="EventBridge's rules send here what they could not deliver; nothing consumes it.",
        )
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("events.amazonaws.com"))
        grant(role, ["states:StartExecution"], [workflow.arn])
        marker = events.Rule(
            self,
            "Marker",
            description="A marker in a folder below batch/ begins the batch of that folder",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [storage.audio.bucket_name]},
                    "object": {"key": [{"wildcard": f"{BATCH_PREFIX}*/{START_MARKER}"}]},
                },
            ),
        )
        # The event as it is: a template would have to escape what a key may hold.
        marker.add_target(StateMachineTarget(workflow.arn, role, self.undelivered))
        if schedule:
            timed = events.Rule(
                self,
                "Schedule",
                description="Begins a batch by the clock",
                schedule=events.Schedule.expression(schedule.expression),
            )
            message = events.RuleTargetInput.from_object({"prefix": schedule.prefix})
            timed.add_target(StateMachineTarget(workflow.arn, role, self.undelivered, message))
