"""The stacks of one environment, and the checks that every synthesis runs over them."""

from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import Validations
from cdk_nag import AwsSolutionsChecks, ServerlessChecks

from infra.environments import Environment
from infra.governance import PROJECT_TAG
from infra.release import find_release
from infra.served_model import ServedModel
from infra.stacks.asynchronous import AsynchronousStack
from infra.stacks.batch import BatchStack
from infra.stacks.network import NetworkStack
from infra.stacks.operations import OperationsStack
from infra.stacks.realtime import RealtimeStack
from infra.stacks.storage import StorageStack
from whisperstack_contract.artefact import ReleaseManifest


def add_stacks(app: cdk.App, environment: Environment, root: Path, release_path: Path | None = None) -> None:
    """release_path: a release manifest to deploy instead of the one built under `root`. Raises ConfigurationError."""

    def name(stack: str) -> str:
        return f"Whisperstack-{environment.name}-{stack}"

    boundary, tags = environment.governance.permissions_boundary, environment.governance.tags_of(environment.name)
    everywhere: dict[str, Any] = {
        "env": cdk.Environment(account=environment.account, region=environment.region),
        # Of the stacks, not of each resource in the templates: CloudFormation passes them on to all that can carry tags.
        "tags": tags,
        "permissions_boundary": cdk.PermissionsBoundary.from_name(boundary) if boundary else None,
    }
    storage = StorageStack(
        app,
        name("Storage"),
        description="Whisperstack: recordings, transcripts, models and jobs",
        retain_data=environment.retain_data,
        retention=environment.retention,
        **everywhere,
    ).storage
    operations = OperationsStack(
        app,
        name("Operations"),
        description="Whisperstack: alarms and budget",
        key=storage.key,
        settings=environment.operations,
        project_tag=tags[PROJECT_TAG],
        **everywhere,
    )
    network = None
    if environment.network is not None:
        network = NetworkStack(
            app,
            name("Network"),
            description="Whisperstack: the network of functions and model containers",
            settings=environment.network,
            key=storage.key,
            log_retention=environment.log_retention,
            **everywhere,
        ).network

    def release_of(settings: ServedModel) -> ReleaseManifest | None:
        return find_release(root, settings.engine, settings.model, release_path) if settings.needs_release else None

    everywhere |= {"storage": storage, "network": network}
    watched: dict[str, Any] = {
        "log_retention": environment.log_retention,
        "alarm_topic": operations.alarm_topic,
        "operations": environment.operations,
    }
    asynchronous = environment.asynchronous and environment.asynchronous.keeping_rows(environment.retention.row_seconds)
    pipeline = None
    if asynchronous is not None:
        pipeline = AsynchronousStack(
            app,
            name("Asynchronous"),
            description="Whisperstack: asynchronous transcription",
            settings=asynchronous,
            release=release_of(asynchronous),
            **watched,
            **everywhere,
        )
    for endpoint, realtime in environment.realtime.items():
        RealtimeStack(
            app,
            name(f"Realtime-{endpoint}"),
            description="Whisperstack: real-time transcription",
            settings=realtime,
            release=release_of(realtime),
            published_name=f"/whisperstack/{environment.name}/realtime/{endpoint}/endpoint-name",
            **watched,
            **everywhere,
        )
    if environment.batch is not None:
        BatchStack(
            app,
            name("Batch"),
            description="Whisperstack: batch transcription",
            settings=environment.batch,
            asynchronous=asynchronous,
            intake=pipeline.intake_queue if pipeline else None,
            release=release_of(environment.batch),
            job_prefix=f"whisper-{environment.name}",
            job_tags=tags,
            **watched,
            **everywhere,
        )
    if network is not None:
        network.open_endpoints()
    Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))
