"""Batch transcription: a model, the functions that plan and collect, and the workflow. It costs nothing while no job runs."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.alarms import Alarms
from infra.constructs.batch_functions import BatchFunctions
from infra.constructs.batch_model import BatchModel
from infra.constructs.batch_starts import BatchStarts
from infra.constructs.batch_workflow import BatchWorkflow
from infra.constructs.job_storage import JobStorage
from infra.constructs.private_network import PrivateNetwork
from infra.constructs.python_function import FunctionPlatform
from infra.inference_options import AsynchronousSettings, BatchSettings
from infra.operations import OperationsSettings
from infra.prices import instance_price, read_prices
from whisperstack_contract.artefact import ReleaseManifest
from whisperstack_contract.receipt import Instances


class BatchStack(Stack):
    """asynchronous, intake: of the pipeline that takes over what a batch cannot transcribe; None where there is none.

    job_prefix, job_tags: of every transform job.
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
        release: ReleaseManifest | None,
        job_prefix: str,
        job_tags: Mapping[str, str],
        log_retention: logs.RetentionDays,
        alarm_topic: sns.ITopic,
        operations: OperationsSettings,
        network: PrivateNetwork | None,
        **stack_settings: Any,
    ) -> None:
        super().__init__(scope, construct_id, **stack_settings)
        # As an imported key: what is built here may use it, but not add to a policy that another stack owns.
        key = kms.Key.from_key_arn(self, "DataKey", storage.key.key.key_arn)
        model = BatchModel(self, "Model", settings=settings, release=release, storage=storage, network=network)
        reports = sns.Topic(self, "Reports", master_key=key, enforce_ssl=True)
        price = instance_price(settings.instance_type, operations.instance_price_usd)
        functions = BatchFunctions(
            self,
            "Functions",
            storage=storage,
            settings=settings,
            asynchronous=asynchronous,
            intake=intake,
            instances=Instances(settings.instance_type, settings.limits.concurrency, price, read_prices().as_of),
            model_digest=model.digest,
            job_prefix=job_prefix,
            topic=reports,
            platform=FunctionPlatform(log_retention, key, network),
        )
        workflow = BatchWorkflow(
            self,
            "Workflow",
            storage=storage,
            functions=functions,
            model=model,
            settings=settings,
            job_prefix=job_prefix,
            job_tags=job_tags,
            log_retention=log_retention,
            key=key,
        )
        starts = BatchStarts(self, "Starts", storage=storage, workflow=workflow, schedule=settings.schedule, key=key)
        self._watch(Alarms(alarm_topic, operations.runbook_url), workflow, functions, starts)
        CfnOutput(self, "ModelName", value=model.model_name)
        CfnOutput(self, "ModelDigest", value=model.digest)
        CfnOutput(self, "StateMachineArn", value=workflow.arn)
        CfnOutput(self, "ReportsTopicArn", value=reports.topic_arn)
        CfnOutput(self, "StartsDeadLettersUrl", value=starts.undelivered.queue_url)

    def _watch(self, alarms: Alarms, workflow: BatchWorkflow, functions: BatchFunctions, starts: BatchStarts) -> None:
        ends = {"BatchFailed": "ExecutionsFailed", "BatchTimedOut": "ExecutionsTimedOut"}
        meanings = {
            "BatchFailed": "A batch has failed, or has left recordings without a result.",
            "BatchTimedOut": "A batch did not come to its end in two weeks.",
        }
        for name, metric in ends.items():
            alarms.at_least(self, name, workflow.metric(metric), 1, meaning=meanings[name])
        alarms.dead_letters(
            self, "StartsDeadLetters", starts.undelivered, "A batch could not be started and waits in a dead-letter queue."
        )
        for name, function in {"PlanErrors": functions.plan, "CollectErrors": functions.collect}.items():
            alarms.function_errors(self, name, function, "A function has failed for a quarter of an hour.")
