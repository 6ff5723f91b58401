"""What an operator sees of a recording's jobs."""

import json

import boto3
import pytest
from typer.testing import CliRunner

from operations.cli import app
from tests.unit.pipeline import AUDIO_BUCKET, TABLE, TRANSCRIPTS_BUCKET, Pipeline, failed, object_created
from whisperstack_contract.jobs import job_id


@pytest.fixture
def run(pipeline: Pipeline):
    """Runs a command against stacks as they are named in an account."""
    outputs = {
        "JobTableName": TABLE,
        "AudioBucketName": AUDIO_BUCKET,
        "TranscriptsBucketName": TRANSCRIPTS_BUCKET,
        "AnnouncementsTopicArn": pipeline.topic,
    }
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    boto3.client("cloudformation").create_stack(StackName="Whisperstack-dev-Storage", TemplateBody=json.dumps(template))
    return lambda *arguments: CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_a_job_is_shown_by_its_key_and_by_its_id(run, pipeline, submit, record):
    source = pipeline.upload("incoming/a.mp3")
    submit(object_created(source))
    record(failed(source, "the worker died"))
    for subject in ("incoming/a.mp3", job_id(source)):
        shown = run("status", subject)
        assert shown.exit_code == 0
        assert f"job          {job_id(source)}" in shown.stdout
        assert "state        failed" in shown.stdout
        assert "inference_failed" in shown.stdout
        assert "errors/a.mp3.error.json" in shown.stdout


def test_the_jobs_of_all_versions_of_a_key_are_shown_the_newest_first(run, pipeline, submit):
    sources = [pipeline.upload("incoming/a.mp3") for _ in range(2)]
    pipeline.upload("incoming/a.mp3.bak")
    submit(*map(object_created, sources))
    shown = run("status", "incoming/a.mp3").stdout
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("job ")] == [
        job_id(source) for source in reversed(sources)
    ]


@pytest.mark.parametrize("subject", ["a" * 52, "incoming/none.mp3", "talk.mp3", ""])
def test_what_is_not_there_is_said_in_a_sentence(run, subject):
    shown = run("status", subject)
    assert shown.exit_code == 2
    assert shown.stderr.startswith("Error: ")
    assert subject in shown.stderr


def test_an_environment_that_is_not_deployed_is_said_in_a_sentence(run):
    shown = run("status", "incoming/a.mp3", "--env", "prod")
    assert shown.exit_code == 2
    assert "Whisperstack-prod-Storage" in shown.stderr


def test_jobs_are_listed_by_how_they_ended_the_latest_first(run, submitted, record):
    sources = [submitted(f"incoming/{number}.mp3") for number in range(3)]
    for source in sources[:2]:
        record(failed(source))
    listed = run("list", "--state", "failed").stdout.splitlines()
    assert [line.split()[0] for line in listed] == [job_id(sources[1]), job_id(sources[0])]
    assert all("inference_failed" in line for line in listed)
    assert len(run("list", "--state", "failed", "--limit", "1").stdout.splitlines()) == 1
    assert "submitted is no end" in run("list", "--state", "submitted").stderr


@pytest.mark.parametrize("selection", [["incoming/a.mp3"], ["--state", "failed"]])
def test_a_failed_job_is_sent_again_once_however_often_it_is_asked(run, pipeline, submitted, record, reconcile, selection):
    source = submitted("incoming/a.mp3")
    record(failed(source))
    assert "would be sent again" in run("redrive", *selection, "--dry-run").stdout
    assert pipeline.jobs() == 1
    assert "sent again as" in run("redrive", *selection).stdout
    assert "sent again before" in run("redrive", *selection).stdout
    reconcile()
    assert pipeline.jobs() == 2
    states = [line.split()[1] for line in run("status", "incoming/a.mp3").stdout.splitlines() if line.startswith("state")]
    assert states == ["failed", "submitted"]


def test_a_job_and_a_state_at_once_are_refused(run):
    for arguments in ([], ["incoming/a.mp3", "--state", "failed"]):
        shown = run("redrive", *arguments)
        assert (shown.exit_code, shown.stderr.startswith("Error: name a job")) == (2, True)


def test_a_cancelled_job_ends_once_and_is_told(run, pipeline, submitted):
    source = submitted("incoming/a.mp3")
    assert "would be cancelled" in run("cancel", "incoming/a.mp3", "--dry-run").stdout
    assert pipeline.announcements() == []
    assert "cancelled" in run("cancel", "incoming/a.mp3").stdout
    assert "left alone: it is failed" in run("cancel", "incoming/a.mp3").stdout
    assert pipeline.row(source)["error_code"] == "cancelled"
    assert len(pipeline.announcements()) == 1
