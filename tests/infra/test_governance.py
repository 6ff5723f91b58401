"""What an account's owners ask of every role and every resource."""

import json

import pytest

from infra.errors import ConfigurationError
from infra.governance import GovernanceSettings


def roles(synthesis):
    return [role for template in synthesis.templates for role in template.resources("AWS::IAM::Role")]


def test_every_role_has_the_permissions_boundary_where_there_is_one(enclosed, syntheses):
    assert len(roles(enclosed)) >= 11
    for role in roles(enclosed):
        assert role["PermissionsBoundary"]["Fn::Join"][1][-1].endswith(":policy/teams/developers")
    assert not [role for synthesis in syntheses.values() for role in roles(synthesis) if "PermissionsBoundary" in role]


def test_every_stack_has_the_environments_tags_beside_our_own(enclosed):
    for template in enclosed.templates:
        stack = template.path.name.removesuffix(".template.json")
        tags = json.loads((template.path.parent / "manifest.json").read_text())["artifacts"][stack]["properties"]["tags"]
        assert tags == {"CostCentre": "speech 42", "Project": "whisperstack", "Environment": "staging"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"permissions_boundary": "arn:aws:iam::123456789012:policy/x"}, r"permissions_boundary is 'arn:.*and no ARN; correct"),
        ({"permissions_boundary": ""}, r"permissions_boundary is ''; it must be the name of a managed policy"),
        ({"permissions_boundary": "a" * 129}, r"permissions_boundary is 'a+'; it must be the name"),
        ({"tags": {"Project": "mine"}}, r"tags has Project, which the project sets itself; choose other keys"),
        ({"tags": {"aws:owner": "me"}}, r"tags has 'aws:owner': 'me'; .*no key begins with 'aws:'; change it"),
        ({"tags": {"": "me"}}, r"tags has '': 'me'; a key has 1 to 128 characters"),
        ({"tags": {"Owner": "a" * 257}}, r"tags has 'Owner': 'a+'; .*a value up to 256"),
        ({"tags": {"Owner": "me & you"}}, r"tags has 'Owner': 'me & you'; .*of letters, digits, spaces and"),
        ({"tags": {f"tag {n}": "" for n in range(49)}}, r"there are 49 tags; AWS allows 48 beside our own; leave some out"),
    ],
)
def test_what_aws_would_refuse_is_refused_at_synthesis(change, told):
    with pytest.raises(ConfigurationError, match=told):
        GovernanceSettings(**change)
