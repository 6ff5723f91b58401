"""Messages that could not be handled, sent again by an operator."""

import json

import boto3
import pytest
from typer.testing import CliRunner

from operations.cli import app
from tests.unit.pipeline import Pipeline

QUEUES = (
    "IntakeQueue",
    "IntakeDeadLetters",
    "EventsDeadLetters",
    "ResultsQueue",
    "ResultsDeadLetters",
    "NotificationsDeadLetters",
)


@pytest.fixture
def queues(pipeline: Pipeline):
    """The asynchronous stack's queues, by the names of its outputs."""
    urls = {name: pipeline.sqs.create_queue(QueueName=name)["QueueUrl"] for name in QUEUES}
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {f"{name}Url": {"Value": url} for name, url in urls.items()},
    }
    boto3.client("cloudformation").create_stack(StackName="Whisperstack-dev-Asynchronous", TemplateBody=json.dumps(template))
    return urls


def run(*arguments: str):
    return CliRunner().invoke(app, ["redrive", *arguments], catch_exceptions=False)


@pytest.mark.parametrize(
    ("name", "dead", "alive"),
    [
        ("intake", "IntakeDeadLetters", "IntakeQueue"),
        ("events", "EventsDeadLetters", "IntakeQueue"),
        ("results", "ResultsDeadLetters", "ResultsQueue"),
        ("notifications", "NotificationsDeadLetters", "ResultsQueue"),
    ],
)
def test_all_dead_letters_go_back_to_where_they_belong(pipeline: Pipeline, queues, name, dead, alive):
    sent = [f'{{"number": {number}}}' for number in range(25)]
    for body in sent:
        pipeline.sqs.send_message(QueueUrl=queues[dead], MessageBody=body)

    assert run("--dead-letters", name, "--dry-run").stdout == f"about 25 messages of {name} would be sent again\n"
    assert run("--dead-letters", name).stdout.splitlines()[-1] == f"25 messages of {name} sent again"
    assert run("--dead-letters", name).stdout == f"there are no messages of {name}\n"

    assert sorted(pipeline.received(queues[alive])) == sorted(sent)
    assert all(pipeline.received(queues[other]) == [] for other in QUEUES if other != alive)


def test_a_dry_run_leaves_the_messages_where_they_are(pipeline: Pipeline, queues):
    pipeline.sqs.send_message(QueueUrl=queues["IntakeDeadLetters"], MessageBody="{}")
    run("--dead-letters", "intake", "--dry-run")

    assert pipeline.received(queues["IntakeQueue"]) == []
    assert pipeline.received(queues["IntakeDeadLetters"]) == ["{}"]


@pytest.mark.usefixtures("pipeline")
def test_an_environment_without_queues_is_said_in_a_sentence():
    shown = run("--dead-letters", "intake", "--env", "staging")
    assert shown.exit_code == 2
    assert "Whisperstack-staging-Asynchronous" in shown.stderr
