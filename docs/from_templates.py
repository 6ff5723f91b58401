"""Tables that say what the templates of one environment say: its alarms, and what each role may do."""

import json
import re
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk

from infra.application import add_stacks
from infra.environments import find_environment
from infra.release import EXAMPLE_MANIFEST

_ROOT: Final = Path(__file__).resolve().parents[1]
_ENVIRONMENT: Final = "prod"
_ALARM: Final = "AWS::CloudWatch::Alarm"
_COMPARISONS: Final = {"GreaterThanOrEqualToThreshold": "≥", "LessThanThreshold": "<"}


@cache
def templates() -> tuple[dict[str, Any], ...]:
    """Every template of the environment that the tables describe."""
    with tempfile.TemporaryDirectory() as folder:
        context = json.loads((_ROOT / "cdk.json").read_text())["context"]
        app = cdk.App(outdir=folder, context=context)
        add_stacks(app, find_environment(_ENVIRONMENT), _ROOT, EXAMPLE_MANIFEST)
        app.synth()
        return tuple(json.loads(path.read_text()) for path in sorted(Path(folder).glob("*.template.json")))


def alarm_table() -> str:
    """The alarms that a person hears of."""
    rows = []
    for alarm in _properties(_ALARM):
        meaning, _, link = alarm.get("AlarmDescription", "").partition(" Runbook: ")
        if not link:
            continue
        section = link.partition("#")[2]
        title = section.replace("-", " ").capitalize()
        minutes = alarm["Period"] // 60
        periods = alarm["EvaluationPeriods"]
        when = f"{alarm['Statistic']} {_COMPARISONS[alarm['ComparisonOperator']]} {alarm['Threshold']:g} in {minutes} min"
        if periods > 1:
            when += f", {periods} times in a row"
        if alarm["TreatMissingData"] == "breaching":
            when += ", or no datum"
        rows.append(f"| [{title}](#{section}) | `{alarm['Namespace']}` `{alarm['MetricName']}` | {when} | {meaning} |")
    return "\n".join(["| alarm | metric | when | what it means |", "|---|---|---|---|", *sorted(rows)])


def permission_table() -> str:
    """What each role may do on what, condition included."""
    rows = []
    for template in templates():
        for resource in template["Resources"].values():
            if resource["Type"] not in {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"}:
                continue
            properties = resource["Properties"]
            holders = [f"`{_text(role)}`" for role in properties.get("Roles", ())] or [
                f"to attach: {properties['Description']}"
            ]
            for statement in properties["PolicyDocument"]["Statement"]:
                actions = "<br>".join(f"`{action}`" for action in _listed(statement["Action"]))
                resources = "<br>".join(sorted(f"`{_text(arn)}`" for arn in _listed(statement["Resource"])))
                rows.append((", ".join(holders), f"| {actions} | {resources} | {_condition(statement)} |"))
    lines = ["| role | action | resource | condition |", "|---|---|---|---|"]
    lines += [f"| {holder} {rest}" for holder, rest in sorted(rows)]
    return "\n".join(lines)


def _properties(kind: str) -> Iterator[dict[str, Any]]:
    for template in templates():
        for resource in template["Resources"].values():
            if resource["Type"] == kind:
                yield resource["Properties"]


def _condition(statement: dict[str, Any]) -> str:
    pairs = [
        f"`{key}` = {', '.join(f'`{_text(value)}`' for value in _listed(values))}"
        for keys in statement.get("Condition", {}).values()
        for key, values in keys.items()
    ]
    return "<br>".join(pairs)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    """An ARN or a name in short: what it refers to, without the digits that the CDK adds to a logical id."""
    match value:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(_text(part) for part in parts)
        case {"Fn::ImportValue": export}:
            return f"<{_readable(str(export).partition('ExportsOutput')[2].removeprefix('FnGetAtt').removeprefix('Ref'))}>"
        case {"Fn::FindInMap": [_mapping, _key, attribute]}:
            return f"<{attribute} by region>"
        case {"Ref": name}:
            return f"<{name}>" if str(name).startswith("AWS::") else f"<{_readable(str(name))}>"
        case {"Fn::GetAtt": [name, _attribute]}:
            return f"<{_readable(str(name))}>"
        case str():
            return value
    return json.dumps(value).replace("|", "\\|")


def _readable(logical_id: str) -> str:
    """'AudioBucket0C7A3F12Arn9A8B7C6D' → 'AudioBucket'."""
    return re.sub(r"[0-9A-F]{8}.*$", "", logical_id)
