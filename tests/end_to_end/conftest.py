"""The product, deployed once to an embedded AWS, and a client that uploads to it and reads what comes of it."""

import json
import time
from collections import defaultdict

import pytest
from rich.console import Console

from local.demo import deployed
from local.stages import Stages
from local.transcription import Listener
from tests.end_to_end.grants import deployed_roles
from whisperstack_contract import keys
from whisperstack_contract.jobs import SourceVersion, job_id

# The ready-made policies, each attached to a role of a user: output of the storage stack → the role's name.
USERS = {"UploaderPolicyArn": "uploader", "ReaderPolicyArn": "reader"}

LAST = ("test_least_privilege", "test_destroy")


class Pipeline:
    """Uploads, and what is announced of them. It uploads and reads under the ready-made policies.

    roles: of the deployed product and of its users, physical name → stack and logical id.
    """

    def __init__(self, aws, deployment):
        self.aws, self.deployment = aws, deployment
        self.listener = Listener(aws, deployment)
        self.announcements = defaultdict(list)
        outputs, iam = self.deployment_outputs("Whisperstack-local-Storage"), aws.client("iam")
        for output, name in USERS.items():
            iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
            iam.attach_role_policy(RoleName=name, PolicyArn=outputs[output])
        self.uploader, self.reader = (aws.surroundings.client("s3", name) for name in USERS.values())
        self.roles = {**deployed_roles(aws), **{name: name for name in USERS.values()}}

    @property
    def requests(self):
        """What transform jobs have asked of model containers: object and status of each, in order."""
        path = self.aws.surroundings.transforms_file
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def put(self, key, body, **options):
        response = self.uploader.put_object(Bucket=self.deployment.audio_bucket, Key=key, Body=body, **options)
        return SourceVersion(self.deployment.audio_bucket, key, response["VersionId"])

    def end_of(self, source, seconds=120, repeats=1):
        """The announcement of one upload, once it has come `repeats` times."""
        deadline = time.monotonic() + seconds
        while len(self.announcements[source]) < repeats:
            assert time.monotonic() < deadline, f"nothing announced for {source.key!r} within {seconds} s"
            for announcement in self.listener.receive():
                self.announcements[announcement.source].append(announcement)
        assert len({announcement.event_id for announcement in self.announcements[source]}) == 1
        return self.announcements[source][0]

    def row(self, source):
        return self.aws.client("dynamodb").get_item(**self._place(source), ConsistentRead=True).get("Item")

    def forget_announcement(self, source):
        """The row as it is a while after a delivery that was cut off between the end state and the announcement.

        Without the index's key: the reconciler must not be faster than the test.
        """
        self.aws.client("dynamodb").update_item(
            **self._place(source),
            UpdateExpression="SET deadline = :past REMOVE announced_at",
            ExpressionAttributeValues={":past": {"N": "1"}},
        )

    def deliver(self, package, message):
        """One message to the function whose package begins so, as its queue would."""
        functions = self.aws.client("lambda").list_functions()["Functions"]
        (name,) = [each["FunctionName"] for each in functions if each["Handler"].startswith(package)]
        record = {"messageId": "1", "body": json.dumps(message), "receiptHandle": "r", "eventSource": "aws:sqs"}
        payload = json.dumps({"Records": [{**record, "attributes": {}}]})
        answer = self.aws.client("lambda").invoke(FunctionName=name, Payload=payload)["Payload"].read()
        assert json.loads(answer) == {"batchItemFailures": []}

    def _place(self, source):
        table = self.deployment_outputs("Whisperstack-local-Storage")["JobTableName"]
        return {"TableName": table, "Key": {"pk": {"S": job_id(source)}}}

    def deployment_outputs(self, stack):
        described = self.aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}

    def read(self, key):
        return self.reader.get_object(Bucket=self.deployment.transcripts_bucket, Key=key)["Body"].read().decode()

    def result_keys(self):
        listing = self.reader.get_paginator("list_objects_v2")
        pages = [
            page
            for prefix in keys.RESULT_PREFIXES
            for page in listing.paginate(Bucket=self.deployment.transcripts_bucket, Prefix=prefix)
        ]
        return {entry["Key"] for page in pages for entry in page.get("Contents", [])}

    def pause(self, paused):
        """Stop or start the event sources of the functions, so that uploads wait."""
        functions = self.aws.client("lambda")
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=not paused)
        while paused and {m["State"] for m in functions.list_event_source_mappings()["EventSourceMappings"]} != {"Disabled"}:
            time.sleep(0.1)

    def error(self, announcement):
        return json.loads(self.read(announcement.outputs["error"]))["error"]


def pytest_collection_modifyitems(items):
    """What looks back on the other tests comes after them, and what takes the product down comes last."""
    items.sort(key=lambda item: LAST.index(item.path.stem) if item.path.stem in LAST else -1)


@pytest.fixture(scope="session")
def pipeline():
    with deployed("test", Stages(Console(stderr=True))) as (aws, deployment):
        yield Pipeline(aws, deployment)


@pytest.fixture(scope="session")
def speech():
    from local.embedded_aws import PROJECT

    return (PROJECT / "samples" / "jfk.mp3").read_bytes()
