"""Rules hand an event to each of their targets, whatever other rules there are."""

import json
import uuid
from types import SimpleNamespace

import pytest

from local.emulator.event_rules import Targets
from local.emulator.schedules import Schedules

ROLE = "arn:aws:iam::123456789012:role/everything"
TOUCH = """
def handle(event, context):
    open(event["detail"]["said"], "x").close()
"""


class Rules:
    """Rules of one test, which match events of a source of its own."""

    def __init__(self, aws):
        self._events, self.source = aws.client("events"), f"source-{uuid.uuid4().hex[:8]}"

    def add(self, arn, **target):
        name = f"{self.source}-{uuid.uuid4().hex[:8]}"
        self._events.put_rule(Name=name, EventPattern=json.dumps({"source": [self.source]}))
        self._events.put_targets(Rule=name, Targets=[{"Id": "target", "Arn": arn, "RoleArn": ROLE, **target}])

    def schedule(self, arn, **target):
        name = f"{self.source}-{uuid.uuid4().hex[:8]}"
        self._events.put_rule(Name=name, ScheduleExpression="rate(1 day)")
        self._events.put_targets(Rule=name, Targets=[{"Id": "target", "Arn": arn, **target}])

    def send(self, said):
        entry = {"Source": self.source, "DetailType": "test", "Detail": json.dumps({"said": said})}
        self._events.put_events(Entries=[entry])


@pytest.fixture
def rules(aws):
    return Rules(aws)


@pytest.fixture
def machine(aws, rules):
    definition = {"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": True}}}
    states = aws.client("stepfunctions")
    made = states.create_state_machine(name=rules.source, definition=json.dumps(definition), roleArn=ROLE)
    return made["stateMachineArn"]


def inputs(aws, machine):
    states = aws.client("stepfunctions")
    executions = states.list_executions(stateMachineArn=machine)["executions"]
    return [json.loads(states.describe_execution(executionArn=each["executionArn"])["input"]) for each in executions]


def test_a_rule_starts_a_state_machine_with_the_event(aws, eventually, rules, machine):
    rules.add(machine)
    rules.send("hello")
    (given,) = eventually(lambda: inputs(aws, machine))
    assert given["detail"] == {"said": "hello"}


def test_a_target_gets_the_input_that_is_made_of_the_event(aws, eventually, rules, machine):
    transformer = {"InputPathsMap": {"said": "$.detail.said"}, "InputTemplate": '{"heard": "<said>"}'}
    rules.add(machine, InputTransformer=transformer)
    rules.send("hello")
    assert eventually(lambda: inputs(aws, machine)) == [{"heard": "hello"}]


def test_a_rule_with_a_rate_starts_a_state_machine_with_its_input_whenever_it_is_due(aws, eventually, rules, machine):
    """The clock of the test, rather than a minute of waiting."""
    given = {"prefix": "batch/calls/"}
    rules.schedule(machine, Input=json.dumps(given), RoleArn=ROLE)
    surroundings = SimpleNamespace(client=lambda service, _role=None: aws.client(service))
    now = [0.0]
    schedules = Schedules(surroundings, Targets(surroundings), clock=lambda: now[0])

    def look(seconds):
        now[0] = seconds
        schedules.look()

    look(0)
    look(86_399)
    look(86_400)
    assert eventually(lambda: inputs(aws, machine)) == [given]
    look(100_000)
    look(2 * 86_400)
    assert eventually(lambda: len(inputs(aws, machine)) == 2)


def test_a_rule_invokes_a_function(aws, eventually, rules, zipped, tmp_path):
    function = aws.client("lambda").create_function(
        FunctionName=rules.source, Runtime="python3.13", Role=ROLE, Handler="handler.handle", Code={"ZipFile": zipped(TOUCH)}
    )
    rules.add(function["FunctionArn"])
    rules.send(str(tmp_path / "invoked"))
    assert eventually((tmp_path / "invoked").exists)


def test_a_schedule_matches_no_event_and_keeps_none_from_its_rule(aws, eventually, rules, machine):
    unwanted = aws.client("stepfunctions").create_state_machine(
        name=f"{rules.source}-unwanted",
        definition=json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": True}}}),
        roleArn=ROLE,
    )["stateMachineArn"]
    rules.schedule("arn:aws:lambda:us-east-1:123456789012:function:anything")
    rules.schedule(unwanted)
    rules.add(machine)
    rules.send("hello")
    assert eventually(lambda: inputs(aws, machine))
    assert inputs(aws, unwanted) == []
