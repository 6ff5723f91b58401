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
from whisperstack_contract.job_table import ACTIVE, DEADLINE, LISTING_ROW, PARTITION_KEY, ActiveFor
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

    def change_row(self, source, **values):
        self._change(self._place(source), values)

    def change_listing(self, **values):
        """How far the search for uploads without a job has come."""
        table = self.deployment_outputs("Whisperstack-local-Storage")["JobTableName"]
        self._change({"TableName": table, "Key": {PARTITION_KEY: {"S": LISTING_ROW}}}, values)

    def _change(self, place, values):
        changes = {name: {"Action": "PUT", "Value": value} for name, value in values.items()}
        self.aws.client("dynamodb").update_item(**place, AttributeUpdates=changes)

    def forget_announcement(self, source, *, found=False):
        """The row as it is a while after a delivery that was cut off between the end state and the announcement.

        Without the index's key unless it is to be found: the reconciler must not be faster than a test of something else.
        """
        self.aws.client("dynamodb").update_item(
            **self._place(source),
            UpdateExpression=f"SET {DEADLINE} = :past REMOVE announced_at",
            ExpressionAttributeValues={":past": {"N": "1"}},
        )
        if found:
            self.change_row(source, **{ACTIVE: {"S": ActiveFor.ANNOUNCEMENT}})

    def function(self, package):
        """The name of the function whose package begins so."""
        functions = self.aws.client("lambda").list_functions()["Functions"]
        (name,) = [each["FunctionName"] for each in functions if each["Handler"].startswith(package)]
        return name

    def function_code(self, package):
        """(bucket, key) of its zip."""
        name, functions = self.function(package), self.aws.client("lambda")
        location = functions.get_function(FunctionName=name)["Code"]["Location"]
        (bucket,) = [
            each["Name"] for each in self.aws.client("s3").list_buckets()["Buckets"] if each["Name"].startswith("cdk-")
        ]
        return bucket, location.rpartition("/")[2]

    def invoke(self, package, event=None):
        answer = self.aws.client("lambda").invoke(FunctionName=self.function(package), Payload=json.dumps(event or {}))
        payload = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return payload

    def deliver(self, package, message):
        """One message to the function whose package begins so, as its queue would."""
        record = {"messageId": "1", "body": json.dumps(message), "receiptHandle": "r", "eventSource": "aws:sqs"}
        assert self.invoke(package, {"Records": [{**record, "attributes": {}}]}) == {"batchItemFailures": []}

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

    def mapping(self, package):
        """The event source of the function whose package begins so."""
        found = self.aws.client("lambda").list_event_source_mappings(FunctionName=self.function(package))
        (mapping,) = found["EventSourceMappings"]
        return mapping

    def pause(self, paused, package=""):
        """Stop or start the event sources of the functions, so that uploads wait. package: of one function only."""
        functions = self.aws.client("lambda")
        all_mappings = functions.list_event_source_mappings()["EventSourceMappings"]
        uuids = {mapping["UUID"] for mapping in ([self.mapping(package)] if package else all_mappings)}
        for uuid in uuids:
            functions.update_event_source_mapping(UUID=uuid, Enabled=not paused)
        while paused and {functions.get_event_source_mapping(UUID=uuid)["State"] for uuid in uuids} != {"Disabled"}:
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
