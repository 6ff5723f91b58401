"""The pipeline around the asynchronous endpoint: uploads in, transcripts out. It can be rebuilt at any time."""

from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.constructs.alarms import Alarms
from infra.constructs.async_endpoint import AsyncEndpoint
from infra.constructs.asynchronous_alarms import AsynchronousAlarms
from infra.constructs.backlog_scaling import BacklogScaling
from infra.constructs.canary import Canary
from infra.constructs.cost_guard import CostGuard
from infra.constructs.dashboard import Dashboard
from infra.constructs.intake import Intake
from infra.constructs.job_storage import JobStorage
from infra.constructs.private_network import PrivateNetwork
from infra.constructs.python_function import FunctionPlatform
from infra.constructs.reconciliation import Reconciliation
from infra.constructs.results import Results
from infra.constructs.whisper_model import WhisperModel
from infra.inference_options import AsynchronousSettings
from infra.operations import OperationsSettings
from infra.prices import instance_price, read_prices
from whisperstack_contract.artefact import ReleaseManifest
from whisperstack_contract.inference_options import InferenceOption
from whisperstack_contract.receipt import Instances


class AsynchronousStack(Stack):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        storage: JobStorage,
        settings: AsynchronousSettings,
        release: ReleaseManifest | None,
        log_retention: logs.RetentionDays,
        alarm_topic: sns.ITopic,
        operations: OperationsSettings,
        network: PrivateNetwork | None,
        **stack_settings: Any,
    ) -> None:
        super().__init__(scope, construct_id, **stack_settings)
        # As an imported key: what is built here may use it, but not add to a policy that another stack owns.
        key = kms.Key.from_key_arn(self, "DataKey", storage.key.key.key_arn)
        platform = FunctionPlatform(log_retention, key, network)
        alarms = Alarms(alarm_topic, operations.runbook_url)
        model = WhisperModel(
            self,
            "Model",
            settings=settings,
            limits=settings.serving_limits,
            release=release,
            bucket=storage.models,
            key=storage.key,
            network=network,
            option=InferenceOption.ASYNCHRONOUS,
        )
        endpoint = AsyncEndpoint(
            self,
            "Endpoint",
            model=model,
            settings=settings,
            storage=storage,
            key=key,
            log_retention=log_retention,
            alarms=alarms,
        )
        BacklogScaling(self, "Scaling", endpoint=endpoint, settings=settings.scaling)
        intake = Intake(
            self,
            "Intake",
            storage=storage,
            endpoint=endpoint,
            settings=settings,
            platform=platform,
        )
        self.intake_queue = intake.work.queue
        price = instance_price(settings.instance_type, operations.instance_price_usd)
        results = Results(
            self,
            "Results",
            storage=storage,
            endpoint=endpoint,
            settings=settings,
            instances=Instances(settings.instance_type, settings.workers, price, read_prices().as_of),
            platform=platform,
        )
        reconciliation = Reconciliation(
            self,
            "Reconciliation",
            storage=storage,
            intake=intake,
            results=results,
            settings=settings,
            platform=platform,
        )
        canary = Canary.for_async(self, "Canary", endpoint=endpoint, storage=storage, platform=platform)
        guard = CostGuard(
            self,
            "Cost",
            endpoint=endpoint,
            min_instances=settings.scaling.min_instances,
            max_instances=settings.scaling.max_instances,
            hours_a_day=operations.instance_hours_a_day,
            enforce=operations.enforce_instance_hours,
            alarms=alarms,
            platform=platform,
        )
        dead_letters = {
            "Intake": intake.work.dead_letters,
            "Events": intake.undelivered,
            "Results": results.work.dead_letters,
            "Notifications": results.undelivered,
        }
        AsynchronousAlarms(
            self,
            "Alarms",
            alarms=alarms,
            endpoint=endpoint,
            dead_letters=dead_letters,
            functions={
                "Submit": intake.function,
                "Record": results.function,
                "Reconcile": reconciliation.function,
                "Canary": canary.function,
                "Guard": guard.function,
            },
            oldest_request_minutes=operations.oldest_request_minutes,
        )
        Dashboard(
            self,
            "Glance",
            endpoint=endpoint,
            guard=guard,
            dead_letters=dead_letters,
            alarms=alarms.made,
            price=price,
        )
        queues = {
            "IntakeQueue": intake.work.queue,
            "IntakeDeadLetters": intake.work.dead_letters,
            "EventsDeadLetters": intake.undelivered,
            "ResultsQueue": results.work.queue,
            "ResultsDeadLetters": results.work.dead_letters,
            "NotificationsDeadLetters": results.undelivered,
        }
        for name, queue in queues.items():
            CfnOutput(self, f"{name}Url", value=queue.queue_url)
        CfnOutput(self, "EndpointName", value=endpoint.endpoint_name)
        CfnOutput(self, "ModelDigest", value=model.digest)
        CfnOutput(self, "ModelIsExample", value=str(release is not None and release.example).lower())
