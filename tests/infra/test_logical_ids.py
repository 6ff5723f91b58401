"""What holds data keeps its logical id: CloudFormation would make another one under a new id, and leave or delete the first.

The list is written by hand, and nothing rewrites it. A new resource is added to it; an id in it never changes.
"""

import pytest

from infra.environments import environment_names

# Of data, and of what users have subscribed to or granted.
STATEFUL = frozenset(
    {"AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::KMS::Key", "AWS::SNS::Topic"}
)

FROZEN = {
    ("Asynchronous", "EndpointSucceeded2E20C8AA"): "AWS::SNS::Topic",
    ("Asynchronous", "EndpointFailed91F8204E"): "AWS::SNS::Topic",
    ("Batch", "Reports65402A0A"): "AWS::SNS::Topic",
    ("Operations", "AlarmsTopic3A2DFEBA"): "AWS::SNS::Topic",
    ("Storage", "DataKey2A0DE9E6"): "AWS::KMS::Key",
    ("Storage", "AccessLogsBucketCD784A59"): "AWS::S3::Bucket",
    ("Storage", "AudioBucket3176805C"): "AWS::S3::Bucket",
    ("Storage", "TranscriptsBucket790D2BE6"): "AWS::S3::Bucket",
    ("Storage", "ModelsBucket970C6ADA"): "AWS::S3::Bucket",
    ("Storage", "JobsTable10C8EDF6"): "AWS::DynamoDB::Table",
    ("Storage", "AnnouncementsTopic8CED003D"): "AWS::SNS::Topic",
}


def stateful(synthesis):
    return {
        (stack, logical_id): resource["Type"]
        for stack, template in synthesis.stacks.items()
        for logical_id, resource in template.body["Resources"].items()
        if resource["Type"] in STATEFUL
    }


@pytest.mark.parametrize("name", environment_names())
def test_what_holds_data_keeps_its_logical_id(syntheses, name):
    found = stateful(syntheses[name])
    expected = {place: kind for place, kind in FROZEN.items() if place[0] in syntheses[name].stacks}
    assert found == expected, "an id in FROZEN never changes: override_logical_id() keeps it; what is new is added there"
