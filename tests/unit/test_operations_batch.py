"""What an operator is told of batches."""

import json

import boto3
import pytest
from typer.testing import CliRunner

from operations.cli import app
from tests.unit.batch import PREFIX, Batch
from tests.unit.pipeline import AUDIO_BUCKET, TABLE, TRANSCRIPTS_BUCKET, Pipeline


@pytest.fixture
def run(pipeline: Pipeline, batch: Batch):
    """Runs a command on batches against stacks as they are named in an account."""
    outputs = {
        "Storage": {
            "JobTableName": TABLE,
            "AudioBucketName": AUDIO_BUCKET,
            "TranscriptsBucketName": TRANSCRIPTS_BUCKET,
            "AnnouncementsTopicArn": pipeline.topic,
        },
        "Batch": {"StateMachineArn": batch.machine},
    }
    for stack, values in outputs.items():
        template = {
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {name: {"Value": value} for name, value in values.items()},
        }
        boto3.client("cloudformation").create_stack(StackName=f"Whisperstack-dev-{stack}", TemplateBody=json.dumps(template))
    return lambda *arguments: CliRunner().invoke(app, ["batch", *arguments], catch_exceptions=False)


def begin(batch: Batch) -> str:
    given = json.dumps({"prefix": PREFIX})
    return batch.executions.start_execution(stateMachineArn=batch.machine, input=given)["executionArn"]


def test_a_folder_without_a_recording_is_not_started(run, batch, pipeline):
    pipeline.upload(f"{PREFIX}_START", b"")
    pipeline.upload(f"{PREFIX}inner/", b"")

    for arguments in ((), ("--dry-run",)):
        told = run("start", PREFIX, *arguments)
        assert told.exit_code == 2
        assert f"there is no recording below {PREFIX}" in told.stderr
    assert batch.executions.list_executions(stateMachineArn=batch.machine)["executions"] == []


def test_a_start_counts_what_it_would_look_at_and_is_left_alone_while_a_run_is_at_work(run, batch, pipeline):
    for number in range(3):
        pipeline.upload(f"{PREFIX}{number}.mp3")
    assert "it would look at 3 recordings" in run("start", PREFIX, "--dry-run").stdout

    started = run("start", PREFIX).stdout
    assert started.startswith("started: ")
    again = run("start", PREFIX)
    assert again.stdout.startswith(f"left alone: {started.split()[-1]} is at work")
    assert "start the folder again when it has ended" in again.stdout
    assert len(batch.executions.list_executions(stateMachineArn=batch.machine)["executions"]) == 1


def test_the_report_of_a_run_that_failed_is_found(run, batch, pipeline):
    pipeline.upload(f"{PREFIX}a.mp3")
    execution = begin(batch)
    batch.recover(execution)
    batch.page(execution)
    reports = batch.report(execution)["reports"]

    batch.kill(execution)

    for subject in (PREFIX, execution):
        shown = run("status", subject).stdout
        assert f"s3://{TRANSCRIPTS_BUCKET}/{reports['html']}" in shown
        assert f"s3://{TRANSCRIPTS_BUCKET}/{reports['json']}" in shown


@pytest.mark.parametrize("command", ["status", "stop"])
def test_an_execution_that_is_not_there_is_said_in_a_sentence(run, batch, command):
    told = run(command, f"{batch.machine.replace(':stateMachine:', ':execution:')}:none")
    assert told.exit_code == 2
    assert "name the folder instead" in told.stderr


def test_a_run_that_was_stopped_before_its_report_shows_none(run, batch):
    batch.kill(begin(batch))
    shown = run("status", PREFIX).stdout
    assert "status       aborted" in shown
    assert "report" not in shown
