"""The product, deployed once to an embedded AWS, and a client that uploads to it and reads what comes of it."""

import json
import time
from collections import defaultdict

import pytest
from rich.console import Console

from local.demo import deployed
from local.stages import Stages
from local.transcription import Listener, read_object
from whisperstack_contract.jobs import SourceVersion, job_id


class Pipeline:
    """Uploads, and what is announced of them."""

    def __init__(self, aws, deployment):
        self.aws, self.deployment = aws, deployment
        self.listener = Listener(aws, deployment)
        self.announcements = defaultdict(list)

    def put(self, key, body, **options):
        response = self.aws.client("s3").put_object(Bucket=self.deployment.audio_bucket, Key=key, Body=body, **options)
        return SourceVersion(self.deployment.audio_bucket, key, response["VersionId"])

    def end_of(self, source, seconds=120):
        """The announcement of one upload."""
        deadline = time.monotonic() + seconds
        while not self.announcements[source]:
            assert time.monotonic() < deadline, f"nothing announced for {source.key!r} within {seconds} s"
            for announcement in self.listener.receive():
                self.announcements[announcement.source].append(announcement)
        assert len({announcement.event_id for announcement in self.announcements[source]}) == 1
        return self.announcements[source][0]

    def row(self, source):
        table = self.deployment_outputs("Whisperstack-local-Storage")["JobTableName"]
        key = {"pk": {"S": job_id(source)}}
        return self.aws.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")

    def deployment_outputs(self, stack):
        described = self.aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}

    def read(self, key):
        return read_object(self.aws, self.deployment, key)

    def result_keys(self):
        pages = self.aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.deployment.transcripts_bucket)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return {key for key in keys if not key.startswith(("raw/", "failures/"))}

    def pause(self, paused):
        """Stop or start the event sources of the functions, so that uploads wait."""
        functions = self.aws.client("lambda")
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=not paused)

    def error(self, announcement):
        return json.loads(self.read(announcement.outputs["error"]))["error"]


@pytest.fixture(scope="session")
def pipeline():
    with deployed("test", Stages(Console(stderr=True))) as (aws, deployment):
        yield Pipeline(aws, deployment)


@pytest.fixture(scope="session")
def speech():
    from local.embedded_aws import PROJECT

    return (PROJECT / "samples" / "jfk.mp3").read_bytes()
