"""Messages, answers and announcements that get lost: the deployed reconciler finds them, under its own role."""

import time
from contextlib import contextmanager

import pytest

from tests.end_to_end.test_pipeline import silence
from whisperstack_contract import keys, variables
from whisperstack_contract.job_table import DEADLINE, RECEIVED_AT
from whisperstack_contract.job_times import JobTimes
from whisperstack_contract.jobs import JobState, job_id

LONG_AGO = {"N": "1"}
NOWHERE = {"S": ""}


@contextmanager
def losing_messages(pipeline, package, count):
    """So many messages that reach that function's queue in the block or soon after it are lost."""
    sqs, mapping = pipeline.aws.client("sqs"), pipeline.mapping(package)
    queue = sqs.get_queue_url(QueueName=mapping["EventSourceArn"].rpartition(":")[2])["QueueUrl"]
    pipeline.pause(True, package)
    yield
    deadline = time.monotonic() + 60
    while count:
        assert time.monotonic() < deadline, f"{count} messages for {package} have not come"
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            count -= 1
    pipeline.pause(False, package)


@pytest.fixture
def in_a_hurry(pipeline):
    """A reconciler for which an upload of a second ago is overdue, and whose day has begun anew."""
    name, functions = pipeline.function("reconcile"), pipeline.aws.client("lambda")
    usual = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    times = JobTimes.from_json(usual[variables.JOB_TIMES])
    hurried = {**usual, variables.JOB_TIMES: JobTimes(**{**vars(times), "intake": 1}).to_json()}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": hurried})
    yield
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": usual})


def uploads(pipeline, name, body):
    """Of every way in which results are named: short names, long ones, and versions that the next one overtakes."""
    short = [pipeline.put(f"incoming/{name}-{n}.wav", body) for n in range(2)]
    long = [pipeline.put(f"incoming/{letter * 1000}-{name}.wav", body) for letter in "gh"]
    overtaken = [pipeline.put(f"incoming/overtaken-{n}-{name}.wav", body) for n in range(2)]
    overtaking = [pipeline.put(source.key, body) for source in overtaken]
    return [*short, *long, *overtaken, *overtaking]


@pytest.mark.usefixtures("in_a_hurry")
def test_uploads_whose_events_are_lost_are_found(pipeline):
    with losing_messages(pipeline, "submit", 8):
        sources = uploads(pipeline, "no-event", silence(1))
    # A version counts once it is a second old, by a clock of whole seconds; a listing passes it once.
    deadline = time.monotonic() + 60
    while not all(pipeline.row(source) for source in sources):
        assert time.monotonic() < deadline
        pipeline.change_listing(
            finished={"BOOL": False}, key={"S": ""}, version={"S": ""}, since={"N": "0"}, started={"N": "1"}
        )
        pipeline.invoke("reconcile")
    assert {pipeline.end_of(source).state for source in sources} == {JobState.SUCCEEDED}


def test_answers_whose_notifications_are_lost_are_recorded(pipeline):
    with losing_messages(pipeline, "record", 2):
        heard = pipeline.put("incoming/no-notification.wav", silence(1))
        refused = pipeline.put("incoming/no-notification.txt", b"no sound at all\n" * 20)
    for source in (heard, refused):
        pipeline.change_row(source, **{DEADLINE: LONG_AGO})
    pipeline.invoke("reconcile")
    assert pipeline.end_of(heard).state is JobState.SUCCEEDED
    assert pipeline.error(pipeline.end_of(refused))["code"] == "not_audio"


def test_jobs_without_an_answer_expire(pipeline):
    with losing_messages(pipeline, "record", 8):
        sources = uploads(pipeline, "no-answer", silence(1))
    s3 = pipeline.aws.client("s3")
    for source in sources:
        answer = f"{keys.RAW_PREFIX}{job_id(source)}/"
        for entry in s3.list_objects_v2(Bucket=pipeline.deployment.transcripts_bucket, Prefix=answer)["Contents"]:
            s3.delete_object(Bucket=pipeline.deployment.transcripts_bucket, Key=entry["Key"])
        pipeline.change_row(source, **{DEADLINE: LONG_AGO, RECEIVED_AT: LONG_AGO})
    pipeline.invoke("reconcile")
    ends = [pipeline.end_of(source) for source in sources]
    assert {end.state for end in ends} == {JobState.EXPIRED}
    assert {pipeline.error(end)["code"] for end in ends} == {"job_expired"}
    # The same versions again, when their ends were not announced: their error documents are there.
    for source in sources:
        pipeline.forget_announcement(source, found=True)
    pipeline.invoke("reconcile")
    assert {pipeline.end_of(source, repeats=2).state for source in sources} == {JobState.EXPIRED}


def test_ends_that_were_not_announced_are_announced_and_earlier_errors_taken_back(pipeline):
    sources = uploads(pipeline, "not-announced", silence(1))
    ends = {source: pipeline.end_of(source) for source in sources}
    assert {end.state for end in ends.values()} == {JobState.SUCCEEDED}
    for source, end in ends.items():
        error = keys.error_key(source.key) if end.current else keys.version_key(end.job_id, keys.ERROR_SUFFIX)
        pipeline.aws.client("s3").put_object(Bucket=pipeline.deployment.transcripts_bucket, Key=error, Body=b"{}")
        pipeline.forget_announcement(source, found=True)
    pipeline.invoke("reconcile")
    for source, end in ends.items():
        assert pipeline.end_of(source, repeats=2).event_id == end.event_id
    assert not [key for key in pipeline.result_keys() if "not-announced" in key and key.endswith(keys.ERROR_SUFFIX)]
