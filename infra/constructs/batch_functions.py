"""The two functions of a batch: one plans transform jobs, the other collects what they wrote."""

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.job_storage import JobStorage
from infra.constructs.python_function import FunctionPlatform, PythonFunction
from infra.grants import grant, grant_wildcard
from infra.inference_options import AsynchronousSettings, BatchSettings
from whisperstack_contract import variables
from whisperstack_contract.job_times import JobTimes
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.receipt import Instances

_JOBS_REASON = "Every transform job has a name of its own, and new ones come all the time; no other project's names begin so."
_LIST_REASON = "Listing transform jobs has no resource to be narrowed to; X-Ray neither."


class BatchFunctions(Construct):
    """job_prefix: what the names of all transform jobs begin with.

    asynchronous, intake: settings and queue of the asynchronous pipeline, which takes over what a batch cannot transcribe;
    None where there is none.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        storage: JobStorage,
        settings: BatchSettings,
        asynchronous: AsynchronousSettings | None,
        intake: sqs.IQueue | None,
        instances: Instances,
        model_digest: str,
        job_prefix: str,
        topic: sns.ITopic,
        platform: FunctionPlatform,
    ) -> None:
        super().__init__(scope, construct_id)
        self._storage, self._job_prefix = storage, job_prefix
        # A recording's options and its chances are the same whichever way it is transcribed.
        options = asynchronous.default_options if asynchronous else TranscriptionOptions()
        times = asynchronous.job_variables[variables.JOB_TIMES] if asynchronous else JobTimes().to_json()
        of_both = {
            variables.JOB_TABLE: storage.jobs.table_name,
            variables.AUDIO_BUCKET: storage.audio.bucket_name,
            variables.TRANSCRIPTS_BUCKET: storage.transcripts.bucket_name,
            variables.ANNOUNCEMENTS_TOPIC: storage.announcements.topic_arn,
            variables.JOB_TIMES: times,
            variables.BATCH_JOB_PREFIX: job_prefix,
        }
        self.plan = PythonFunction(
            self,
            "Plan",
            package="plan_batch",
            variables={
                **of_both,
                variables.DEFAULT_OPTIONS: options.to_custom_attributes(),
                variables.PROMPTS_FROM_METADATA: str(bool(asynchronous and asynchronous.prompts_from_metadata)).lower(),
                variables.MODEL_DIGEST: model_digest,
                variables.BATCH_LIMITS: settings.limits.to_json(),
                variables.LEFTOVERS: str(intake is not None).lower(),
            },
            timeout=Duration.minutes(10),
            memory_mib=1024,
            platform=platform,
        )
        self.collect = PythonFunction(
            self,
            "Collect",
            package="collect_batch",
            variables={
                **of_both,
                variables.INSTANCES: instances.to_json(),
                variables.BATCH_TOPIC: topic.topic_arn,
                **({variables.INTAKE_QUEUE: intake.queue_url} if intake else {}),
            },
            timeout=Duration.minutes(15),
            memory_mib=1024,
            platform=platform,
        )
        self._grant_planning(self.plan.role)
        self._grant_collecting(self.collect.role)
        grant(self.collect.role, ["sns:Publish"], [topic.topic_arn])
        if intake:
            grant(self.collect.role, ["sqs:SendMessage"], [intake.queue_arn])

    def _grant_planning(self, role: iam.Role) -> None:
        storage = self._storage
        storage.jobs.grant_create_jobs(role)
        storage.jobs.grant_look_up_many(role)
        storage.audio.grant_read_uploads(role)
        storage.audio.grant_list_versions(role)
        storage.audio.grant_write_staged(role)
        storage.audio.grant_batch_work(role)
        storage.transcripts.grant_read_batch_output(role)
        storage.transcripts.grant_write_errors(role)
        storage.announcements.grant_publish(role)
        storage.key.grant_use(role)
        self._grant_jobs(role, ["sagemaker:DescribeTransformJob", "sagemaker:StopTransformJob"])

    def _grant_collecting(self, role: iam.Role) -> None:
        storage = self._storage
        storage.jobs.grant_update_jobs(role)
        storage.jobs.grant_look_up_many(role)
        storage.audio.grant_see_current(role)
        storage.audio.grant_batch_work(role)
        storage.transcripts.grant_read_batch_output(role)
        storage.transcripts.grant_write_transcripts(role)
        storage.transcripts.grant_write_reports(role)
        storage.announcements.grant_publish(role)
        storage.key.grant_use(role)
        self._grant_jobs(role, ["sagemaker:DescribeTransformJob"])

    def _grant_jobs(self, role: iam.Role, actions: list[str]) -> None:
        grant_wildcard(role, actions, [transform_jobs(self, self._job_prefix)], _JOBS_REASON)
        grant_wildcard(role, ["sagemaker:ListTransformJobs"], ["*"], _LIST_REASON)


def transform_jobs(scope: Construct, job_prefix: str) -> str:
    """The ARNs of all jobs whose names begin so."""
    return Stack.of(scope).format_arn(
        service="sagemaker",
        resource="transform-job",
        resource_name=f"{job_prefix}-*",
        arn_format=ArnFormat.SLASH_RESOURCE_NAME,
    )
