"""After a deploy: is every resource of the templates there? An emulator that skips one in silence proves nothing."""

import json
from pathlib import Path
from typing import Any, Final

# Type → why its absence is right. Anything else that is missing is an error.
NOT_EMULATED: Final[dict[str, str]] = {
    "AWS::CDK::Metadata": "carries the CDK's own usage statistics; no behaviour depends on it",
}


class MissingResourcesError(Exception):
    """The deploy said yes, and resources of the templates are not there."""


def check_deployment(assembly: Path, cloudformation: Any) -> int:
    """The number of resources that were created. assembly: the CDK's output folder. Raises MissingResourcesError."""
    missing, created = [], 0
    for name, template in _templates(assembly):
        summaries = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
        there = {summary["LogicalResourceId"] for page in summaries for summary in page["StackResourceSummaries"]}
        for logical_id, resource in template["Resources"].items():
            if logical_id in there:
                created += 1
            elif resource["Type"] not in NOT_EMULATED:
                missing.append(f"{name}: {logical_id} ({resource['Type']})")
    if missing:
        raise MissingResourcesError(
            "the embedded AWS did not create these resources; emulate them in local/emulator, or list their type in "
            "local/deployment_check.py with the reason:\n  " + "\n  ".join(missing)
        )
    return created


def _templates(assembly: Path) -> list[tuple[str, dict[str, Any]]]:
    """(stack name, template) of every stack in a cloud assembly."""
    artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    stacks = {name: a["properties"] for name, a in artifacts.items() if a["type"] == "aws:cloudformation:stack"}
    return [
        (stack.get("stackName", name), json.loads((assembly / stack["templateFile"]).read_text()))
        for name, stack in stacks.items()
    ]
