"""The stacks of one environment, and the checks that every synthesis runs over them."""

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import Validations
from cdk_nag import AwsSolutionsChecks, ServerlessChecks

from infra.environments import Environment
from infra.release import find_release
from infra.served_model import ServedModel
from infra.stacks.asynchronous import AsynchronousStack
from infra.stacks.batch import BatchStack
from infra.stacks.operations import OperationsStack
from infra.stacks.realtime import RealtimeStack
from infra.stacks.storage import StorageStack
from whisperstack_contract.artefact import ReleaseManifest


def add_stacks(app: cdk.App, environment: Environment, root: Path, release_path: Path | None = None) -> None:
    """release_path: a release manifest to deploy instead of the one built under `root`. Raises ConfigurationError."""
    where = cdk.Environment(account=environment.account, region=environment.region)
    # Of the stacks, not of each resource in the templates: CloudFormation passes them on to all that can carry tags.
    tags = {"Project": "whisperstack", "Environment": environment.name}
    storage = StorageStack(
        app,
        f"Whisperstack-{environment.name}-Storage",
        description="Whisperstack: recordings, transcripts, models and jobs",
        env=where,
        tags=tags,
        retain_data=environment.retain_data,
        retention=environment.retention,
    )
    operations = OperationsStack(
        app,
        f"Whisperstack-{environment.name}-Operations",
        description="Whisperstack: alarms and budget",
        env=where,
        tags=tags,
        key=storage.storage.key,
        settings=environment.operations,
        project_tag=tags["Project"],
    )

    def release_of(settings: ServedModel) -> ReleaseManifest | None:
        return find_release(root, settings.engine, settings.model, release_path) if settings.needs_release else None

    if environment.asynchronous is not None:
        settings = environment.asynchronous
        AsynchronousStack(
            app,
            f"Whisperstack-{environment.name}-Asynchronous",
            description="Whisperstack: asynchronous transcription",
            env=where,
            tags=tags,
            storage=storage.storage,
            settings=settings,
            release=release_of(settings),
            log_retention=environment.log_retention,
            alarm_topic=operations.alarm_topic,
            operations=environment.operations,
        )
    for name, realtime in environment.realtime.items():
        RealtimeStack(
            app,
            f"Whisperstack-{environment.name}-Realtime-{name}",
            description="Whisperstack: real-time transcription",
            env=where,
            tags=tags,
            storage=storage.storage,
            settings=realtime,
            release=release_of(realtime),
            published_name=f"/whisperstack/{environment.name}/realtime/{name}/endpoint-name",
            log_retention=environment.log_retention,
            alarm_topic=operations.alarm_topic,
            operations=environment.operations,
        )
    if environment.batch is not None:
        BatchStack(
            app,
            f"Whisperstack-{environment.name}-Batch",
            description="Whisperstack: batch transcription",
            env=where,
            tags=tags,
            storage=storage.storage,
            settings=environment.batch,
            release=release_of(environment.batch),
        )
    Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))
