"""What an operator sees of a recording's jobs."""

import json
from dataclasses import replace

import boto3
import pytest
from typer.testing import CliRunner

from operations.cli import app
from tests.unit.pipeline import (
    AUDIO_BUCKET,
    TABLE,
    TRANSCRIPTS_BUCKET,
    Pipeline,
    completed,
    failed,
    object_created,
    transcript,
)
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


def test_an_aws_that_does_not_answer_is_said_in_a_sentence(monkeypatch):
    settings = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**settings, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}.items():
        monkeypatch.setenv(name, value)
    shown = CliRunner().invoke(app, ["list", "--state", "failed"])
    assert shown.exit_code == 2
    assert shown.stderr.startswith("Error: nothing answers there")
    assert "127.0.0.1:9" in shown.stderr


def test_a_profile_that_does_not_exist_is_said_in_a_sentence(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "of-nobody")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    shown = CliRunner().invoke(app, ["list", "--state", "failed"])
    assert shown.exit_code == 2
    assert "(of-nobody) could not be found; choose another with AWS_PROFILE" in shown.stderr


def test_jobs_are_listed_by_how_they_ended_the_latest_first(run, submitted, record):
    sources = [submitted(f"incoming/{number}.mp3") for number in range(3)]
    for source in sources[:2]:
        record(failed(source))
    listed = run("list", "--state", "failed").stdout.splitlines()
    assert [line.split()[0] for line in listed] == [job_id(sources[1]), job_id(sources[0])]
    assert all("inference_failed" in line for line in listed)
    short = run("list", "--state", "failed", "--limit", "1")
    assert (len(short.stdout.splitlines()), short.stderr) == (1, "there are more; --limit is 1\n")


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
    assert states == ["submitted", "failed"]


def test_a_state_is_sent_again_by_and_by_and_what_is_left_is_said(run, pipeline, submitted, record):
    sources = [submitted(f"incoming/{number}.mp3") for number in range(3)]
    record(*map(failed, sources))
    for source in reversed(sources):
        shown = run("redrive", "--state", "failed", "--limit", "1").stdout.splitlines()
        assert shown[0] == f"{job_id(source)} sent again as {job_id(source, 1)}"
        left = sources.index(source)
        assert shown[-1] == (f"{left} left for later: --limit is 1; raise it, or do the same again" if left else told_before(2))
    assert run("redrive", "--state", "failed", "--limit", "1").stdout.splitlines() == [told_before(3)]
    assert pipeline.jobs() == 6


def told_before(count):
    return f"{count} left alone: sent again before"


def test_all_pages_of_a_state_are_sent_again(run, pipeline, submitted, record):
    """Rows are looked up by hundreds."""
    first = submitted("incoming/0.mp3")
    record(failed(first))
    (item,) = pipeline.dynamodb.scan(TableName=TABLE, FilterExpression="attribute_exists(ended)")["Items"]
    for number in range(1, 101):
        source = replace(first, key=f"incoming/{number}.mp3")
        changes = {"pk": {"S": job_id(source)}, "source_key": {"S": source.key}, "ended_at": {"S": f"2100-01-01T{number:03d}"}}
        pipeline.dynamodb.put_item(TableName=TABLE, Item=item | changes)
    shown = run("redrive", "--state", "failed", "--limit", "100").stdout
    assert (shown.count("sent again as"), "1 left for later" in shown) == (100, True)
    assert run("redrive", "--state", "failed").stdout.splitlines() == [
        f"{job_id(first)} sent again as {job_id(first, 1)}",
        told_before(100),
    ]


def test_a_cancelled_job_is_sent_again_by_name_only(run, pipeline, submitted):
    source = submitted("incoming/a.mp3")
    run("cancel", "incoming/a.mp3")
    assert run("redrive", "--state", "failed").stdout.startswith("1 left alone: cancelled by an operator;")
    assert pipeline.jobs() == 1
    assert "sent again as" in run("redrive", job_id(source)).stdout


def test_a_job_that_is_sent_again_ends_and_is_told_for_itself(run, pipeline, submitted, record, reconcile):
    source = submitted("incoming/a.mp3")
    record(failed(source))
    run("redrive", "incoming/a.mp3")
    reconcile()
    run("cancel", "incoming/a.mp3")
    assert [announcement.event_id for announcement, _ in pipeline.announcements()] == [
        f"{job_id(source)}:failed",
        f"{job_id(source, 1)}:failed",
    ]


def test_what_waits_is_listed_the_most_overdue_first(run, pipeline, submitted, record):
    """submitted: for an answer. received: for its turn."""
    sources = [submitted(f"incoming/{number}.mp3") for number in range(3)]
    due = [sources[number] for number in (2, 0, 1)]
    for seconds, source in enumerate(due, start=1):
        pipeline.change_row(source, deadline={"N": str(seconds)})
    shown = run("list", "--state", "submitted").stdout.splitlines()
    assert [line.split()[0] for line in shown] == [job_id(source) for source in due]
    assert shown[0].endswith(" 1970-01-01T00:00:01+00:00 incoming/2.mp3")

    assert run("list", "--state", "received").stdout == ""
    record(failed(sources[2]))
    run("redrive", "--state", "failed")
    (shown,) = run("list", "--state", "received").stdout.splitlines()
    assert shown.startswith(job_id(sources[2], 1))
    assert len(run("list", "--state", "submitted").stdout.splitlines()) == 2


def test_what_a_batch_has_is_listed_as_submitted(run, batch):
    execution = batch.start()
    source = batch.pipeline.upload("batch/monday/a.mp3")
    batch.recover(execution)
    batch.page(execution)
    batch.share(execution, 1)
    assert run("list", "--state", "submitted").stdout.startswith(job_id(source))


@pytest.mark.parametrize("state", ["succeeded", "partial", "received", "submitted"])
def test_a_state_that_is_not_sent_again_is_refused(run, state):
    shown = run("redrive", "--state", state)
    assert shown.exit_code == 2
    assert shown.stderr == f"Error: jobs that are {state} are not sent again; choose one of: expired, failed, rejected\n"


def test_a_limit_of_anything_but_a_state_is_refused(run):
    for subject in (["incoming/a.mp3"], ["--dead-letters", "intake"]):
        shown = run("redrive", *subject, "--limit", "3")
        assert shown.exit_code == 2
        assert shown.stderr.startswith("Error: --limit 3 is for --state")


def test_what_a_job_waits_for_and_what_it_cost_is_shown(run, pipeline, submitted, record):
    source = submitted("incoming/a.mp3")
    pipeline.make_due(source)
    assert "deadline     1970-01-01T00:00:01+00:00" in run("status", "incoming/a.mp3").stdout
    record(completed(source, pipeline.endpoint_answers(source, transcript().to_json().encode())))
    shown = run("status", "incoming/a.mp3").stdout
    assert "processing   0.1 s of ml.g5.xlarge" in shown
    assert "cost         0.00003911 USD; prices of 2026-11-22" in shown
    assert "deadline" not in shown


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
