"""Prints the tables that say what the templates of one environment say, as JSON: name → Markdown.

A program of its own, because the CDK writes every finding of the NIST report to standard error.
"""

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import Validations
from cdk_nag import NIST80053R5Checks

from infra.application import add_stacks
from infra.environments import find_environment
from infra.release import EXAMPLE_MANIFEST

_ROOT: Final = Path(__file__).resolve().parents[1]
_ENVIRONMENT: Final = "prod"
_NIST: Final = "NIST.800.53.R5"
_RISKS: Final = Path(__file__).with_name("accepted-risks.json")
_ALARM: Final = "AWS::CloudWatch::Alarm"
_COMPARISONS: Final = {"GreaterThanOrEqualToThreshold": "≥", "LessThanThreshold": "<"}


@dataclass(frozen=True)
class Synthesis:
    """templates: by the rest of their stack's name.

    nist: rule of NIST 800-53 R5 → paths of the constructs on which cdk-nag finds it unmet.
    """

    templates: dict[str, dict[str, Any]]
    nist: dict[str, list[str]]


@cache
def synthesis() -> Synthesis:
    """The environment that the tables describe."""
    with tempfile.TemporaryDirectory() as folder:
        context = json.loads((_ROOT / "cdk.json").read_text())["context"]
        app = cdk.App(outdir=folder, context=context)
        add_stacks(app, find_environment(_ENVIRONMENT), _ROOT, EXAMPLE_MANIFEST)
        Validations.of(app).add_plugins(NIST80053R5Checks(app))
        # It has findings, which are the report; they come as an exception once everything is written.
        with suppress(RuntimeError):
            app.synth()
        before, after = f"Whisperstack-{_ENVIRONMENT}-", ".template.json"
        paths = sorted(Path(folder).glob(f"{before}*{after}"))
        templates = {path.name.removeprefix(before).removesuffix(after): json.loads(path.read_text()) for path in paths}
        return Synthesis(templates, _findings(Path(folder) / "validation-report.json", _NIST))


def _findings(path: Path, pack: str) -> dict[str, list[str]]:
    """Raises RuntimeError where another pack has findings, which stops every synthesis and must not hide here."""
    found: dict[str, list[str]] = {}
    for report in json.loads(path.read_text())["pluginReports"]:
        if report["pluginName"] != pack and report["violations"]:
            raise RuntimeError(f"{report['pluginName']} has findings; run 'make synth ENV={_ENVIRONMENT}' and mend them")
        for violation in report["violations"]:
            constructs = found.setdefault(violation["ruleName"].removeprefix(f"{pack}-"), [])
            constructs += [each["constructPath"] for each in violation["violatingConstructs"]]
    return found


def nist_table() -> str:
    """Every rule of NIST 800-53 R5 that the templates do not meet, on how many constructs, and why that is accepted."""
    risks: dict[str, str] = json.loads(_RISKS.read_text())
    found = synthesis().nist
    if unexplained := sorted(set(found) - set(risks)):
        raise RuntimeError(f"{_RISKS.name} gives no reason for {', '.join(unexplained)}; mend them, or accept them there")
    if unused := sorted(set(risks) - set(found)):
        raise RuntimeError(f"{_RISKS.name} accepts {', '.join(unused)}, which nothing breaks; take them out")
    rows = [f"| `{rule}` | {len(found[rule])} | {risks[rule]} |" for rule in sorted(found)]
    return "\n".join(["| rule | constructs | why it is accepted |", "|---|---|---|", *rows])


def alarm_table() -> str:
    """The alarms that a person hears of."""
    rows = []
    for alarm in _properties(_ALARM):
        meaning, _, link = alarm.get("AlarmDescription", "").partition(" Runbook: ")
        if not link:
            continue
        section = link.partition("#")[2]
        title = section.replace("-", " ").capitalize()
        stats = [each["MetricStat"] for each in alarm.get("Metrics", ()) if "MetricStat" in each]
        stats = stats or [{"Metric": alarm, "Stat": alarm["Statistic"], "Period": alarm["Period"]}]
        formula = next((each["Expression"] for each in alarm.get("Metrics", ()) if "Expression" in each), stats[0]["Stat"])
        minutes = stats[0]["Period"] // 60
        periods = alarm["EvaluationPeriods"]
        when = f"{formula} {_COMPARISONS[alarm['ComparisonOperator']]} {alarm['Threshold']:g} in {minutes} min"
        if periods > 1:
            when += f", {periods} times in a row"
        if alarm["TreatMissingData"] == "breaching":
            when += ", or no datum"
        metrics = "<br>".join(f"`{stat['Metric']['Namespace']}` `{stat['Metric']['MetricName']}`" for stat in stats)
        rows.append(f"| [{title}](#{section}) | {metrics} | {when} | {meaning} |")
    return "\n".join(["| alarm | metric | when | what it means |", "|---|---|---|---|", *sorted(set(rows))])


def permission_table() -> str:
    """What each role may do on what, condition included."""
    rows = []
    for stack, template in synthesis().templates.items():
        for resource in template["Resources"].values():
            if resource["Type"] not in {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"}:
                continue
            properties = resource["Properties"]
            holders = [f"{stack} `{_text(role)}`" for role in properties.get("Roles", ())] or [
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
    for template in synthesis().templates.values():
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


if __name__ == "__main__":
    try:
        tables = {"alarms": alarm_table(), "permissions": permission_table(), "accepted risks": nist_table()}
    except RuntimeError as error:
        sys.exit(f"error: {error}")
    print(json.dumps(tables))
