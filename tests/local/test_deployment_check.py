"""A resource that the emulator skipped is an error that names it."""

import json

import pytest

from local.deployment_check import MissingResourcesError, check_deployment


@pytest.fixture
def assembly(aws, tmp_path):
    """Deploy a template to the embedded AWS and write the assembly that it would have come from."""

    def deploy(name, **types):
        template = {"Resources": {logical_id: {"Type": kind, "Properties": {}} for logical_id, kind in types.items()}}
        aws.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))
        stack = {"type": "aws:cloudformation:stack", "properties": {"templateFile": "t.json", "stackName": name}}
        (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": {"Stack": stack}}))
        (tmp_path / "t.json").write_text(json.dumps(template))
        return tmp_path

    return deploy


def test_a_skipped_resource_is_named_with_its_stack_and_type(aws, assembly):
    folder = assembly("skipping", Topic="AWS::SNS::Topic", Odd="AWS::IoT1Click::Device")
    with pytest.raises(MissingResourcesError, match=r"skipping: Odd \(AWS::IoT1Click::Device\)"):
        check_deployment(folder, aws.client("cloudformation"))


def test_created_resources_are_counted_and_listed_types_may_be_absent(aws, assembly):
    folder = assembly("complete", Topic="AWS::SNS::Topic", Metadata="AWS::CDK::Metadata")
    assert check_deployment(folder, aws.client("cloudformation")) == 1
