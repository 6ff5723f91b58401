"""Synthesis of one environment, and what a test asks of the templates."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from infra.application import add_stacks
from infra.environments import Environment
from infra.release import EXAMPLE_MANIFEST

ROOT = Path(__file__).parents[2]
# Of the functions' folders only the templates are looked at: copying them takes two thirds of a synthesis.
CONTEXT = {**json.loads((ROOT / "cdk.json").read_text())["context"], "aws:cdk:disable-asset-staging": True}


@dataclass(frozen=True)
class Template:
    path: Path
    body: dict[str, Any]

    def resources(self, resource_type: str, logical_id_prefix: str = "") -> list[dict[str, Any]]:
        return [
            resource["Properties"]
            for logical_id, resource in self.body["Resources"].items()
            if resource["Type"] == resource_type and logical_id.startswith(logical_id_prefix)
        ]

    def resource(self, resource_type: str, logical_id_prefix: str = "") -> dict[str, Any]:
        found = self.resources(resource_type, logical_id_prefix)
        assert len(found) == 1, f"{len(found)} of {resource_type} {logical_id_prefix!r}"
        return found[0]

    def statements(self, logical_id_prefix: str) -> list[dict[str, Any]]:
        """The statements of the policies whose logical id starts so."""
        policies = self.resources("AWS::IAM::Policy", logical_id_prefix)
        return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]

    def allowed(self, logical_id_prefix: str, action: str) -> list[str]:
        """The resources on which those policies allow `action`, as text. 'sns:*' finds every action of a service."""
        return sorted(
            _text(resource)
            for statement in self.statements(logical_id_prefix)
            if any(_matches(each, action) for each in _listed(statement["Action"]))
            for resource in _listed(statement["Resource"])
        )


@dataclass(frozen=True)
class Synthesis:
    """stacks: by the rest of their name, such as 'Storage' or 'Realtime-main'."""

    name: str
    stacks: dict[str, Template]

    @property
    def storage(self) -> Template:
        return self.stacks["Storage"]

    @property
    def operations(self) -> Template:
        return self.stacks["Operations"]

    @property
    def asynchronous(self) -> Template:
        return self.stacks["Asynchronous"]

    @property
    def realtime(self) -> Template:
        return self.stacks["Realtime-main"]

    @property
    def batch(self) -> Template:
        return self.stacks["Batch"]

    @property
    def network(self) -> Template:
        return self.stacks["Network"]

    @property
    def templates(self) -> tuple[Template, ...]:
        return tuple(self.stacks.values())


def synthesize(environment: Environment, folder: Path, release: Path = EXAMPLE_MANIFEST) -> Synthesis:
    """With the stand-in release unless another is given, so that what was built on this machine makes no difference."""
    app = cdk.App(outdir=str(folder), context=CONTEXT)
    add_stacks(app, environment, ROOT, release)
    app.synth()
    before, after = f"Whisperstack-{environment.name}-", ".template.json"
    paths = sorted(folder.glob(f"{before}*{after}"))
    return Synthesis(environment.name, {path.name.removeprefix(before).removesuffix(after): _read(path) for path in paths})


def _read(path: Path) -> Template:
    return Template(path, json.loads(path.read_text()))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches(action: str, wanted: str) -> bool:
    return action == wanted or (wanted.endswith("*") and action.startswith(wanted[:-1]))


def _text(value: Any) -> str:
    """What an ARN refers to, in short: an export by the logical id that it stands for."""
    match value:
        case str():
            return value
        case {"Fn::Join": [separator, parts]}:
            return separator.join(_text(part) for part in parts)
        case {"Fn::ImportValue": name}:
            return f"<{name.split('ExportsOutput')[1].removeprefix('FnGetAtt').removeprefix('Ref')}>"
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
    return json.dumps(value)
