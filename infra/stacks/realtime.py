"""A real-time endpoint with what watches it. It can be removed alone, and rebuilt at any time."""

from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.constructs.alarms import Alarms
from infra.constructs.canary import Canary
from infra.constructs.concurrency_scaling import ConcurrencyScaling
from infra.constructs.cost_guard import CostGuard
from infra.constructs.job_storage import JobStorage
from infra.constructs.private_network import PrivateNetwork
from infra.constructs.python_function import FunctionPlatform, PythonFunction
from infra.constructs.realtime_dashboard import RealtimeDashboard
from infra.constructs.realtime_endpoint import RealtimeEndpoint
from infra.constructs.whisper_model import WhisperModel
from infra.grants import grant
from infra.inference_options import RealtimeSettings
from infra.operations import OperationsSettings
from infra.prices import instance_price
from infra.served_model import WHISPERX_ENGINE
from whisperstack_contract.artefact import ReleaseManifest
from whisperstack_contract.inference_options import InferenceOption


class RealtimeStack(Stack):
    """published_name: of the parameter in which callers find the endpoint's name, which changes with its instance type."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        storage: JobStorage,
        settings: RealtimeSettings,
        release: ReleaseManifest | None,
        published_name: str,
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
            option=InferenceOption.REAL_TIME,
        )
        endpoint = RealtimeEndpoint(
            self,
            "Endpoint",
            model=model,
            settings=settings,
            storage=storage,
            key=key,
            log_retention=log_retention,
            alarms=alarms,
        )
        ConcurrencyScaling(self, "Scaling", endpoint=endpoint, settings=settings)
        guard = CostGuard(
            self,
            "Cost",
            endpoint=endpoint,
            min_instances=settings.scaling.min_instances,
            max_instances=settings.scaling.max_instances,
            hours_a_day=settings.hours_a_day,
            enforce=operations.enforce_instance_hours,
            alarms=alarms,
            platform=platform,
        )
        functions = {"Guard": guard.function}
        # WhisperX takes a form, which the sample is not.
        if settings.engine != WHISPERX_ENGINE:
            canary = Canary.for_realtime(self, "Canary", endpoint=endpoint, platform=platform)
            functions["Canary"] = canary.function
        self._watch(alarms, functions)
        RealtimeDashboard(
            self,
            "Glance",
            endpoint=endpoint,
            guard=guard,
            alarms=alarms.made,
            price=instance_price(settings.instance_type, operations.instance_price_usd),
        )
        self._publish(endpoint, published_name)
        CfnOutput(self, "ModelDigest", value=model.digest)

    def _watch(self, alarms: Alarms, functions: dict[str, PythonFunction]) -> None:
        watched = Construct(self, "Alarms")
        for name, function in functions.items():
            alarms.function_errors(watched, f"{name}Errors", function, "A function has failed for a quarter of an hour.")

    def _publish(self, endpoint: RealtimeEndpoint, name: str) -> None:
        """Where callers find the endpoint, and a policy for them; it is attached to nothing here."""
        parameter = ssm.StringParameter(
            self,
            "Published",
            parameter_name=name,
            string_value=endpoint.endpoint_name,
            description="Name of the real-time endpoint; it changes when its instance types do",
        )
        caller = iam.ManagedPolicy(self, "Caller", description="Transcribe recordings with the real-time endpoint")
        endpoint.grant_invoke(caller)
        grant(caller, ["ssm:GetParameter"], [parameter.parameter_arn])
        CfnOutput(self, "EndpointName", value=endpoint.endpoint_name)
        CfnOutput(self, "EndpointNameParameter", value=parameter.parameter_name)
        CfnOutput(self, "CallerPolicyArn", value=caller.managed_policy_arn)
