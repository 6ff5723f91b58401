"""After all other tests: the deployed product is taken down, and nothing of it is left that would cost money."""

import subprocess
import sys

import pytest

from local.embedded_aws import PROJECT


def destroy(pipeline, *arguments, answer=""):
    command = [sys.executable, "-m", "operations", "destroy", "--env", "local", *arguments]
    return subprocess.run(
        command, cwd=PROJECT, env=pipeline.aws.environment, input=answer, capture_output=True, text=True, check=False
    )


def resources(pipeline):
    """Names of what costs by the hour, by use or by the byte, by kind."""
    client = pipeline.aws.client
    sagemaker = client("sagemaker")
    return {
        "endpoints": [each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]],
        "configurations": [each["EndpointConfigName"] for each in sagemaker.list_endpoint_configs()["EndpointConfigs"]],
        "models": [each["ModelName"] for each in sagemaker.list_models()["Models"]],
        "functions": [each["FunctionName"] for each in client("lambda").list_functions()["Functions"]],
        "rules": [each["Name"] for each in client("events").list_rules()["Rules"]],
        "queues": client("sqs").list_queues(QueueNamePrefix="Whisperstack-").get("QueueUrls", []),
        "topics": [each["TopicArn"] for each in client("sns").list_topics()["Topics"] if "Whisperstack-" in each["TopicArn"]],
        "tables": client("dynamodb").list_tables()["TableNames"],
        "alarms": [each["AlarmName"] for each in client("cloudwatch").describe_alarms()["MetricAlarms"]],
        "log groups": [each["logGroupName"] for each in client("logs").describe_log_groups()["logGroups"]],
        "buckets": [
            each["Name"] for each in client("s3").list_buckets()["Buckets"] if each["Name"].startswith("whisperstack-")
        ],
    }


@pytest.fixture(scope="module")
def before(pipeline):
    found = resources(pipeline)
    assert all(found.values()), f"nothing of {[kind for kind, names in found.items() if not names]} was there to go"
    return found


def test_a_wrong_answer_leaves_everything_as_it_is(pipeline, before):
    run = destroy(pipeline, answer="yes\n")
    assert run.returncode == 2, run.stderr
    assert resources(pipeline) == before


def test_an_environment_that_keeps_nothing_leaves_nothing_that_costs_money(pipeline, before):  # noqa: ARG001  # it was there
    run = destroy(pipeline, answer="local\n")
    assert run.returncode == 0, run.stderr
    assert {kind: names for kind, names in resources(pipeline).items() if names} == {}
    stacks = {stack["StackName"] for stack in pipeline.aws.client("cloudformation").describe_stacks()["Stacks"]}
    assert stacks == {"CDKToolkit"}
    assert "Nothing of local is left that costs money." in run.stderr
