"""Looks every few minutes for what no notification told, and goes on with it."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from constructs import Construct

from infra.constructs.event_target import FunctionTarget
from infra.constructs.intake import Intake
from infra.constructs.job_storage import JobStorage
from infra.constructs.python_function import FunctionPlatform, PythonFunction
from infra.constructs.results import Results
from infra.grants import grant
from infra.inference_options import AsynchronousSettings
from whisperstack_contract import variables

# Below the shortest time between two runs, so that there is one at a time.
_TIMEOUT = Duration.seconds(280)


class Reconciliation(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        storage: JobStorage,
        intake: Intake,
        results: Results,
        settings: AsynchronousSettings,
        platform: FunctionPlatform,
    ) -> None:
        super().__init__(scope, construct_id)
        every = Duration.minutes(settings.reconcile_minutes)
        self.function = PythonFunction(
            self,
            "Reconcile",
            package="reconcile_jobs",
            variables={
                variables.JOB_TABLE: storage.jobs.table_name,
                variables.AUDIO_BUCKET: storage.audio.bucket_name,
                variables.TRANSCRIPTS_BUCKET: storage.transcripts.bucket_name,
                variables.ANNOUNCEMENTS_TOPIC: storage.announcements.topic_arn,
                variables.INTAKE_QUEUE: intake.work.queue.queue_url,
                variables.RESULTS_QUEUE: results.work.queue.queue_url,
                **settings.job_variables,
            },
            timeout=Duration.seconds(min(_TIMEOUT.to_seconds(), every.to_seconds() - 5)),
            memory_mib=512,
            platform=platform,
        )
        role = self.function.role
        storage.jobs.grant_find_jobs(role)
        storage.audio.grant_see_current(role)
        storage.audio.grant_list_versions(role)
        storage.transcripts.grant_read_raw(role)
        storage.transcripts.grant_write_errors(role)
        storage.announcements.grant_publish(role)
        storage.key.grant_use(role)
        grant(role, ["sqs:SendMessage"], [intake.work.queue.queue_arn, results.work.queue.queue_arn])
        rule = events.Rule(
            self, "Schedule", description="Looks for jobs that were lost on their way", schedule=events.Schedule.rate(every)
        )
        rule.add_target(FunctionTarget(self.function))
