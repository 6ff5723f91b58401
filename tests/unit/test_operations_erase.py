"""`python -m operations erase`: nothing of an upload is left, nothing else is touched, and the receipt says what went."""

import json
from datetime import datetime, timedelta

import boto3
import pytest
from botocore.stub import Stubber
from typer.testing import CliRunner

from operations.cli import app
from operations.deployment import Deployment
from operations.erasing import erase
from operations.errors import OperationsError
from operations.holdings import find_holdings
from tests.unit.batch import Batch
from tests.unit.pipeline import AUDIO_BUCKET, TABLE, TRANSCRIPTS_BUCKET, completed, failed, transcript
from whisperstack_contract import keys
from whisperstack_contract.jobs import job_id

TALK, OTHER = "incoming/talk.mp3", "incoming/talk.mp3.wav"


@pytest.fixture
def aws(pipeline):
    """The pipeline's parts with the stack that says where they are, and point-in-time recovery."""
    outputs = {"JobTableName": TABLE, "AudioBucketName": AUDIO_BUCKET, "TranscriptsBucketName": TRANSCRIPTS_BUCKET}
    outputs["AnnouncementsTopicArn"] = pipeline.topic
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    boto3.client("cloudformation").create_stack(StackName="Whisperstack-dev-Storage", TemplateBody=json.dumps(template))
    pipeline.dynamodb.update_continuous_backups(
        TableName=TABLE, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    return pipeline


@pytest.fixture
def kept(aws):
    """(bucket, key) of every version and marker that is there."""

    def listed():
        found = []
        for bucket in (AUDIO_BUCKET, TRANSCRIPTS_BUCKET):
            response = aws.s3.list_object_versions(Bucket=bucket)
            found += [(bucket, e["Key"]) for e in (*response.get("Versions", []), *response.get("DeleteMarkers", []))]
        return sorted(found)

    return listed


@pytest.fixture
def run(aws):  # noqa: ARG001  # it must be there
    def erase(*arguments, answer=None):
        return CliRunner().invoke(app, ["erase", *arguments], input=answer, catch_exceptions=False)

    return erase


@pytest.fixture
def transcribed(aws, submitted, record):
    """Uploads a recording and lets it come to an end, good or bad; returns its source."""

    def upload(key, *, good=True):
        source = submitted(key)
        if good:
            assert record(completed(source, aws.endpoint_answers(source, transcript().to_json().encode()))) == [True]
            return source
        location = f"{keys.FAILURES_PREFIX}{source.version_id}-error.out"
        aws.s3.put_object(Bucket=TRANSCRIPTS_BUCKET, Key=location, Body=b"{}")
        aws.change_row(source, failure_location={"S": f"s3://{TRANSCRIPTS_BUCKET}/{location}"})
        assert record(failed(source)) == [True]
        return source

    return upload


def test_what_a_batch_made_of_an_upload_goes_too(aws, wire, kept, run):
    batch = Batch(aws, wire)
    other = aws.upload("batch/monday/other.mp3")
    batch.run()
    before = kept()
    source = aws.upload("batch/monday/talk.mp3")
    batch.run()
    assert any(job_id(source) in key and key.startswith("raw/batch/") for _, key in kept())

    done = run(source.key, "--yes")

    assert done.exit_code == 0, done.stderr
    # The notes and reports of the second run stay, as they would of any other.
    left = set(kept()) - set(before)
    assert {key for _, key in left if not key.startswith(("staged/batch/", "batch-reports/"))} == set()
    assert aws.row(other)["state"] == "succeeded"


@pytest.mark.parametrize("key", [TALK, f"incoming/{'x' * 1015}", "incoming/día 日本 🎤.wav"])
def test_every_version_object_and_row_of_an_upload_goes_and_nothing_of_its_neighbours(aws, kept, run, transcribed, key):
    neighbours = [transcribed(OTHER), transcribed("incoming/talk.mp"), transcribed(OTHER, good=False)]
    before = kept()
    sources = [transcribed(key), transcribed(key, good=False), transcribed(key)]
    # One was deleted by hand, so that only its row tells of it; another is hidden.
    aws.s3.delete_object(Bucket=AUDIO_BUCKET, Key=key, VersionId=sources[0].version_id)
    aws.s3.delete_object(Bucket=AUDIO_BUCKET, Key=key)
    taken = len(kept()) - len(before)
    done = run(key, "--yes")
    assert done.exit_code == 0, done.stderr
    assert kept() == before
    assert aws.jobs() == len(neighbours)
    receipt = json.loads(done.stdout)
    assert (receipt["key"], receipt["environment"], receipt["dry_run"]) == (key, "dev", False)
    assert len(receipt["objects"]) == taken
    assert set(receipt["rows"]) == {job_id(source) for source in sources}
    assert receipt["by"].startswith("arn:aws:")
    recoverable = datetime.fromisoformat(receipt["rows_recoverable_until"]) - datetime.fromisoformat(receipt["at"])
    assert recoverable == timedelta(days=35)


def test_a_dry_run_lists_what_would_go_and_removes_nothing(aws, kept, run, transcribed):
    transcribed(TALK)
    before = kept()
    shown = json.loads(run(TALK, "--dry-run").stdout)
    assert shown["dry_run"] is True
    assert sorted((each["bucket"], each["key"]) for each in shown["objects"]) == before
    assert (kept(), aws.jobs()) == (before, 1)
    removed = json.loads(run(TALK, "--yes").stdout)
    assert (removed["objects"], removed["rows"]) == (shown["objects"], shown["rows"])


def test_a_second_time_finds_nothing_and_says_so(run, transcribed):
    transcribed(TALK)
    run(TALK, "--yes")
    again = run(TALK)
    assert again.exit_code == 0
    assert (json.loads(again.stdout)["objects"], json.loads(again.stdout)["rows"]) == ([], [])
    assert "0 object versions and 0 rows" in again.stderr


def test_what_was_cut_off_is_finished_by_the_next_run(aws, kept, run, transcribed):
    """The rows go last, so that they still lead to what is left of an upload that is gone."""
    transcribed(TALK)
    s3, dynamodb = boto3.client("s3"), boto3.client("dynamodb")

    def stop(_count):
        raise KeyboardInterrupt

    deployment = Deployment.find("dev")
    with pytest.raises(KeyboardInterrupt):
        erase(find_holdings(deployment, TALK, s3, dynamodb, lambda _rows: None), deployment, s3, dynamodb, stop)
    assert {bucket for bucket, _ in kept()} == {TRANSCRIPTS_BUCKET}
    assert aws.jobs() == 1
    assert run(TALK, "--yes").exit_code == 0
    assert (kept(), aws.jobs()) == ([], 0)


def test_it_asks_first_and_a_no_leaves_everything(aws, kept, run, transcribed):
    transcribed(TALK)
    before = kept()
    refused = run(TALK, answer="n\n")
    assert refused.exit_code == 1
    assert (kept(), aws.jobs()) == (before, 1)
    assert "{" not in refused.stdout
    assert run(TALK, answer="y\n").exit_code == 0
    assert kept() == []


def test_a_job_that_is_still_in_work_stands_against_it(aws, kept, run, submitted):
    source = submitted(TALK)
    before = kept()
    refused = run(TALK, "--yes")
    assert refused.exit_code == 2
    assert job_id(source) in refused.stderr
    assert "cancel" in refused.stderr
    assert (kept(), aws.jobs()) == (before, 1)


def test_versions_whose_job_may_be_about_to_begin_are_told_of(aws, kept, run):
    aws.upload(TALK)
    done = run(TALK, "--yes")
    assert "1 version has no job" in done.stderr
    assert kept() == []


def test_the_receipt_goes_to_a_file_that_is_tried_before_anything_is_removed(kept, run, transcribed, tmp_path):
    transcribed(TALK)
    before = kept()
    refused = run(TALK, "--yes", "--receipt", str(tmp_path / "no folder" / "receipt.json"))
    assert (refused.exit_code, kept()) == (2, before)
    assert "cannot be written" in refused.stderr
    done = run(TALK, "--yes", "--receipt", str(tmp_path / "receipt.json"))
    assert done.stdout == ""
    assert len(json.loads((tmp_path / "receipt.json").read_text())["objects"]) == len(before)


def test_a_receipt_that_is_there_is_kept_and_stands_against_the_run(kept, run, transcribed, tmp_path):
    transcribed(TALK)
    receipt = tmp_path / "receipt.json"
    assert run(TALK, "--yes", "--receipt", str(receipt)).exit_code == 0
    first = receipt.read_text()
    transcribed(TALK)
    before = kept()
    refused = run(TALK, "--yes", "--receipt", str(receipt))
    assert (refused.exit_code, kept(), receipt.read_text()) == (2, before, first)
    assert "receipt.json exists" in refused.stderr
    assert "name a new file with --receipt" in refused.stderr


def test_a_run_that_removes_nothing_leaves_no_empty_receipt_in_the_way_of_the_next(run, transcribed, tmp_path):
    transcribed(TALK)
    receipt = tmp_path / "receipt.json"
    assert run(TALK, "--receipt", str(receipt), answer="n\n").exit_code == 1
    assert not receipt.exists()
    assert run(TALK, "--receipt", str(receipt), answer="y\n").exit_code == 0
    assert len(json.loads(receipt.read_text())["objects"]) > 0


def test_more_versions_than_one_request_takes_go_all(aws, kept, run, monkeypatch):
    monkeypatch.setattr("operations.erasing._AT_ONCE", 2)
    for _ in range(5):
        aws.upload(TALK)
    assert run(TALK, "--yes").exit_code == 0
    assert kept() == []


@pytest.mark.parametrize("key", ["talk.mp3", "incoming/", "transcripts/talk.mp3.json"])
def test_what_is_no_upload_is_refused(run, key):
    refused = run(key, "--yes")
    assert refused.exit_code == 2
    assert repr(key) in refused.stderr


def test_versions_that_s3_does_not_remove_are_an_error(aws, transcribed):
    """Such as under an object lock."""
    transcribed(TALK)
    held = [{"Key": TALK, "VersionId": "v", "Code": "AccessDenied", "Message": "locked"}]
    s3, dynamodb = boto3.client("s3"), boto3.client("dynamodb")
    holdings = find_holdings(Deployment.find("dev"), TALK, s3, dynamodb, lambda _rows: None)
    with Stubber(s3) as stub:
        stub.add_response("delete_objects", {"Errors": held})
        with pytest.raises(OperationsError, match=r"1 version in audio could not be removed; the first is .*locked"):
            erase(holdings, Deployment.find("dev"), s3, dynamodb, lambda _count: None)
    assert aws.jobs() == 1
