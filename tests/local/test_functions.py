"""Lambda functions run from their deployed zip, in processes of their own."""

import json

import pytest

ROLE = "arn:aws:iam::123456789012:role/test"


@pytest.fixture(scope="module")
def invoke(aws, zipped):
    """Create a function from source, call it once with an event, return (result, error type or None)."""
    aws.client("iam").create_role(RoleName="test", AssumeRolePolicyDocument="{}")
    functions = aws.client("lambda")

    def create_and_call(name, source, event=None, *, timeout=20, **environment):
        try:
            functions.get_function(FunctionName=name)
        except functions.exceptions.ResourceNotFoundException:
            functions.create_function(
                FunctionName=name,
                Runtime="python3.13",
                Role=ROLE,
                Handler="handler.handle",
                Code={"ZipFile": zipped(source)},
                Timeout=timeout,
                Environment={"Variables": environment},
            )
        response = functions.invoke(FunctionName=name, Payload=json.dumps(event or {}))
        return json.loads(response["Payload"].read()), response.get("FunctionError")

    return create_and_call


def test_a_function_gets_its_event_and_answers(invoke):
    source = "def handle(event, context):\n    return {'got': event, 'name': context.function_name}\n"
    assert invoke("echo", source, {"a": 1}) == ({"got": {"a": 1}, "name": "echo"}, None)


def test_functions_have_processes_and_environments_of_their_own(invoke):
    source = "import os\ndef handle(event, context):\n    return [os.getpid(), os.environ.get('OWN')]\n"
    (first_pid, first_own), _ = invoke("own-1", source, OWN="one")
    (second_pid, second_own), _ = invoke("own-2", source, OWN="two")
    assert (first_own, second_own) == ("one", "two")
    assert first_pid != second_pid


def test_an_environment_is_kept_for_the_next_event(invoke):
    source = "calls = []\ndef handle(event, context):\n    calls.append(1)\n    return len(calls)\n"
    assert [invoke("warm", source)[0] for _ in range(3)] == [1, 2, 3]


def test_a_function_cannot_import_what_its_zip_does_not_hold(invoke):
    result, error = invoke("missing", "import boto3\ndef handle(event, context):\n    return 1\n")
    assert error
    assert result["errorMessage"] == "No module named 'boto3'"


def test_what_a_handler_prints_is_not_its_answer(invoke):
    assert invoke("chatty", "def handle(event, context):\n    print('hello')\n    return 'answer'\n") == ("answer", None)


def test_an_exception_is_a_function_error_and_the_environment_goes_on(invoke):
    source = "def handle(event, context):\n    return 1 / event['by']\n"
    result, error = invoke("divide", source, {"by": 0})
    assert error
    assert result["errorType"] == "ZeroDivisionError"
    assert invoke("divide", source, {"by": 1}) == (1.0, None)


def test_a_function_past_its_timeout_is_killed_and_can_be_called_again(invoke):
    source = "import time\ndef handle(event, context):\n    time.sleep(event['s'])\n    return 'done'\n"
    result, error = invoke("slow", source, {"s": 60}, timeout=1)
    assert error
    assert "timeout 1 s" in result["errorMessage"]
    assert invoke("slow", source, {"s": 0}) == ("done", None)
