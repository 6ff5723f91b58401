"""Every environment's templates: alike, free of findings, and free of what the embedded AWS cannot run."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import aws_cdk as cdk
import pytest
from aws_cdk import Validations
from aws_cdk import aws_s3 as s3
from cdk_nag import AwsSolutionsChecks

from infra.environments import environment_names, find_environment
from infra.network import NetworkSettings
from infra.operations import OperationsSettings
from tests.infra.synthesized import CONTEXT, synthesize


def shape(template):
    """Logical id → type of every resource."""
    return {logical_id: resource["Type"] for logical_id, resource in template.body["Resources"].items()}


@pytest.mark.parametrize("name", environment_names())
def test_environments_differ_in_values_only_unless_an_option_is_switched_off(syntheses, name):
    both = syntheses[name].stacks.keys() & syntheses["prod"].stacks.keys()
    assert {"Storage", "Operations", "Asynchronous", "Batch"} <= both
    for stack in both:
        assert shape(syntheses[name].stacks[stack]) == shape(syntheses["prod"].stacks[stack]), stack


def test_real_time_inference_is_off_in_dev_as_it_costs_money_while_idle(syntheses):
    with_real_time = {name for name, synthesis in syntheses.items() if "Realtime-main" in synthesis.stacks}
    assert with_real_time == {"local", "staging", "prod"}


def test_cfn_lint_finds_nothing_in_any_template(everywhere):
    paths = [str(template.path) for synthesis in everywhere.values() for template in synthesis.templates]
    run = subprocess.run([str(Path(sys.executable).with_name("cfn-lint")), *paths], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_an_unexplained_finding_stops_the_synthesis(tmp_path):
    # The same check ran over every environment in the fixture: had it found anything there, that would have raised.
    app = cdk.App(outdir=str(tmp_path), context=CONTEXT)
    s3.Bucket(cdk.Stack(app, "Careless"), "Bucket")
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    with pytest.raises(RuntimeError, match=r"Acknowledge with .AwsSolutions::AwsSolutions-S10"):
        app.synth()


@pytest.mark.parametrize("name", environment_names())
def test_there_is_no_custom_resource_and_no_telemetry(syntheses, name):
    types = {kind for template in syntheses[name].templates for kind in shape(template).values()}
    assert not [kind for kind in types if kind.startswith("Custom::") or kind == "AWS::CDK::Metadata"]


@pytest.mark.parametrize("name", environment_names())
def test_the_storage_stack_does_not_need_the_other_one(syntheses, name):
    assert "Fn::ImportValue" not in syntheses[name].storage.path.read_text()


class Collected:
    """In the place of Validations: notes what would be accepted, and accepts nothing."""

    accepted: ClassVar[set[tuple[str, str]]] = set()

    def __init__(self, path):
        self._path = path

    @classmethod
    def of(cls, construct):
        return cls(construct.node.path)

    def acknowledge(self, acknowledgment):
        self.accepted.add((self._path, acknowledgment.id.partition("::")[2]))


@pytest.mark.parametrize("everything", [False, True])
def test_everything_that_is_accepted_is_found(tmp_path, monkeypatch, everything):
    Collected.accepted.clear()
    monkeypatch.setattr("infra.findings.Validations", Collected)
    environment = find_environment("staging")
    if everything:
        operations = OperationsSettings(alarm_email="oncall@example.com", enforce_instance_hours=True)
        environment = dataclasses.replace(environment, operations=operations, network=NetworkSettings())
    with pytest.raises(RuntimeError, match="ValidationFailed: ERROR"):
        synthesize(environment, tmp_path)
    report = json.loads((tmp_path / "validation-report.json").read_text())
    found = {
        (construct["constructPath"], violation["ruleName"])
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
        for construct in violation["violatingConstructs"]
    }
    unused = {
        (path, rule)
        for path, rule in Collected.accepted
        if not any(rule == found_rule and f"{found_path}/".startswith(f"{path}/") for found_path, found_rule in found)
    }
    assert Collected.accepted
    assert unused == set()
