"""Step Functions in the embedded AWS, where a batch depends on it: maps over S3, context, roles, stopping."""

import json
import uuid

import pytest

ROLE = "arn:aws:iam::123456789012:role/everything"
ECHO = """
import json, time

def handle(event, context):
    if event.get("fail"):
        raise ValueError("as asked")
    time.sleep(event.get("sleep", 0))
    return event
"""


@pytest.fixture(scope="module")
def echo(aws, zipped):
    """The ARN of a function that answers with its event."""
    made = aws.client("lambda").create_function(
        FunctionName="echo-of-states",
        Runtime="python3.13",
        Role=ROLE,
        Handler="handler.handle",
        Code={"ZipFile": zipped(ECHO)},
        Timeout=30,
    )
    return made["FunctionArn"]


class Machine:
    def __init__(self, aws, states, start, role=ROLE):
        self.client = aws.client("stepfunctions")
        definition = {"StartAt": start, "States": states}
        name = f"m-{uuid.uuid4().hex[:8]}"
        self.arn = self.client.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)[
            "stateMachineArn"
        ]

    def start(self, given=None, **name):
        return self.client.start_execution(stateMachineArn=self.arn, input=json.dumps(given or {}), **name)["executionArn"]

    def end(self, execution, eventually):
        def ended():
            described = self.client.describe_execution(executionArn=execution)
            return described if described["status"] != "RUNNING" else None

        return eventually(ended)

    def output(self, eventually, given=None):
        ended = self.end(self.start(given), eventually)
        assert ended["status"] == "SUCCEEDED", (ended.get("error"), ended.get("cause"))
        return json.loads(ended["output"])


def call(function, payload, **more):
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload": payload},
        "ResultSelector": {"answer.$": "$.Payload"},
        **more,
    }


@pytest.fixture
def listed(aws):
    """A bucket with a list of three items."""
    bucket = f"items-{uuid.uuid4().hex[:8]}"
    aws.client("s3").create_bucket(Bucket=bucket)
    aws.client("s3").put_object(Bucket=bucket, Key="a/list.json", Body=json.dumps([{"n": n} for n in range(3)]))
    return bucket


def distributed(children, start, **more):
    return {
        "Type": "Map",
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON"},
            "Parameters": {"Bucket.$": "$.bucket", "Key": "a/list.json"},
        },
        "ItemSelector": {"item.$": "$$.Map.Item.Value", "parent.$": "$$.Execution.Id", "own.$": "$.own"},
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": start,
            "States": children,
        },
        "MaxConcurrency": 2,
        "End": True,
        **more,
    }


def test_a_map_reads_its_items_from_s3_and_each_child_is_an_execution_of_its_own(aws, eventually, echo, listed):
    payload = {"name.$": "States.Format('{}-{}-{}', $.own, $$.Execution.RedriveCount, $$.State.RetryCount)", "in.$": "$"}
    children = {"Say": call(echo, {**payload, "id.$": "$$.Execution.Id"}, End=True)}
    machine = Machine(aws, {"All": distributed(children, "Say")}, "All")
    answers = [each["answer"] for each in machine.output(eventually, {"bucket": listed, "own": "x"})]
    assert sorted(each["in"]["item"]["n"] for each in answers) == [0, 1, 2]
    assert {each["name"] for each in answers} == {"x-0-0"}
    (parent,) = {each["in"]["parent"] for each in answers}
    assert len({parent, *(each["id"] for each in answers)}) == 4


def test_a_child_that_fails_does_not_fail_a_map_that_tolerates_it_and_its_result_is_passed_over(aws, eventually, listed):
    children = {
        "Which": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.item.n", "NumericEquals": 1, "Next": "Bad"}],
            "Default": "Good",
        },
        "Bad": {"Type": "Fail", "Error": "Bad"},
        "Good": {"Type": "Pass", "Result": {}, "End": True},
    }
    state = distributed(children, "Which", ToleratedFailurePercentage=100, ResultPath=None)
    given = {"bucket": listed, "own": "x"}
    assert Machine(aws, {"All": state}, "All").output(eventually, given) == given


def test_a_list_that_is_not_there_is_caught(aws, eventually, listed):
    children = {"Good": {"Type": "Pass", "End": True}}
    state = distributed(children, "Good", Catch=[{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Caught"}])
    state["ItemReader"]["Parameters"]["Key"] = "a/none.json"
    machine = Machine(aws, {"All": state, "Caught": {"Type": "Pass", "Result": {"at": "caught"}, "End": True}}, "All")
    assert machine.output(eventually, {"bucket": listed, "own": "x"}) == {"at": "caught"}


def test_a_failing_function_is_called_again_and_then_caught(aws, eventually, echo):
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1, "BackoffRate": 1}]
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    states = {"Call": call(echo, {"fail": True}, Retry=retry, Catch=catch, End=True), "Caught": {"Type": "Pass", "End": True}}
    assert "as asked" in Machine(aws, states, "Call").output(eventually)["Cause"]


def test_a_machine_that_starts_itself_by_name_does_it_once(aws, eventually):
    states = {
        "How": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.detail.object.key", "IsPresent": True, "Next": "Once"}],
            "Default": "Real",
        },
        "Once": {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution",
            "Parameters": {
                "StateMachineArn.$": "$$.StateMachine.Id",
                "Name.$": "States.Hash(States.Format('{}/{}', $.detail.object.key, $.detail.object['version-id']), 'SHA-256')",
                "Input": {"key.$": "$.detail.object.key"},
            },
            "Catch": [{"ErrorEquals": ["StepFunctions.ExecutionAlreadyExistsException"], "Next": "Before"}],
            "Next": "Started",
        },
        "Started": {"Type": "Pass", "Result": {"at": "started"}, "End": True},
        "Before": {"Type": "Pass", "Result": {"at": "before"}, "End": True},
        "Real": {"Type": "Succeed"},
    }
    machine = Machine(aws, states, "How")
    event = {"detail": {"object": {"key": "batch/a 'b' {} ü/_START", "version-id": "1"}}}
    assert machine.output(eventually, event) == {"at": "started"}
    eventually(
        lambda: len(machine.client.list_executions(stateMachineArn=machine.arn, statusFilter="SUCCEEDED")["executions"]) == 2
    )
    assert machine.output(eventually, event) == {"at": "before"}
    event["detail"]["object"]["version-id"] = "2"
    assert machine.output(eventually, event) == {"at": "started"}


def test_a_stopped_execution_has_ended_at_once_and_goes_no_further(aws, eventually, echo):
    states = {"Long": call(echo, {"sleep": 3}, Next="After"), "After": {"Type": "Pass", "End": True}}
    machine = Machine(aws, states, "Long")
    execution = machine.start()

    def events():
        return machine.client.get_execution_history(executionArn=execution)["events"]

    eventually(lambda: any(event["type"] == "TaskScheduled" for event in events()))
    machine.client.stop_execution(executionArn=execution)
    assert machine.client.describe_execution(executionArn=execution)["status"] == "ABORTED"
    assert not [event for event in events() if event.get("stateEnteredEventDetails", {}).get("name") == "After"]


def test_tasks_are_called_under_the_role_of_the_machine(aws, eventually, echo, listed):
    iam = aws.client("iam")
    iam.create_role(RoleName="calls-nothing", AssumeRolePolicyDocument="{}")
    role = ROLE.replace("everything", "calls-nothing")
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    caught = {"Type": "Pass", "End": True}
    states = {"Call": call(echo, {}, Catch=catch, End=True), "Caught": caught}
    refused = Machine(aws, states, "Call", role)
    assert "AccessDenied" in refused.output(eventually)["Error"]
    state = distributed({"Good": {"Type": "Pass", "End": True}}, "Good", Catch=catch)
    assert "Error" in Machine(aws, {"All": state, "Caught": caught}, "All", role).output(
        eventually, {"bucket": listed, "own": "x"}
    )
    statement = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": echo}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName="calls-nothing", PolicyName="one", PolicyDocument=document)
    assert refused.output(eventually) == {"answer": {}}
