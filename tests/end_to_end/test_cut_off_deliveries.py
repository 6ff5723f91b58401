"""Uploads that are gone or overtaken before their turn, and deliveries that come again after one was cut off."""

import json

import pytest

from tests.end_to_end.test_pipeline import silence
from whisperstack_contract import keys
from whisperstack_contract.jobs import JobState

# So long that a hash stands for them in the names of their results.
LONG = [f"incoming/{letter * 1015}" for letter in "bcd"]


@pytest.fixture(scope="module")
def ended(pipeline):
    """Sources of jobs that have succeeded, at least two of each way in which results are named."""
    body = silence(1)
    pipeline.pause(True)
    overtaken = [pipeline.put(f"incoming/cut-off/{n}.wav", body) for n in range(3)]
    current = [pipeline.put(f"incoming/{name}", body) for name in ("cut-off/0.wav", "cut-off/1.wav", "cut-off/2.wav", "z.wav")]
    current += [pipeline.put(key, body) for key in LONG]
    pipeline.pause(False)
    ends = {source: pipeline.end_of(source) for source in (*overtaken, *current)}
    assert {source: (end.state, end.current) for source, end in ends.items()} == {
        source: (JobState.SUCCEEDED, source in current) for source in ends
    }
    return ends


def upload_event(_pipeline, source):
    detail = {"bucket": {"name": source.bucket}, "object": {"key": source.key, "size": 1, "version-id": source.version_id}}
    return "submit", {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}


def result_notification(pipeline, source):
    row = pipeline.row(source)
    location = {"outputLocation": row["output_location"]["S"]}
    identity = {"inferenceId": row["inference_id"]["S"]}
    return "record", {"invocationStatus": "Completed", "responseParameters": location, **identity}


@pytest.mark.parametrize("message", [upload_event, result_notification])
def test_a_delivery_makes_up_for_one_that_was_cut_off_before_the_announcement(pipeline, ended, message):
    """The row says that the job has succeeded and not that anyone was told; an error document of an earlier try is there."""
    for source, end in ended.items():
        error = keys.error_key(source.key) if end.current else keys.version_key(end.job_id, keys.ERROR_SUFFIX)
        pipeline.aws.client("s3").put_object(Bucket=pipeline.deployment.transcripts_bucket, Key=error, Body=b"{}")
        pipeline.forget_announcement(source)
        pipeline.deliver(*message(pipeline, source))
        assert "announced_at" in pipeline.row(source)
        assert error not in pipeline.result_keys()
        heard = len(pipeline.announcements[source])
        assert pipeline.end_of(source, repeats=heard + 1).event_id == end.event_id
    # The second time there is no error document to take away.
    pipeline.forget_announcement(source)
    pipeline.deliver(*message(pipeline, source))
    assert "announced_at" in pipeline.row(source)


def test_results_of_long_names_and_of_versions_that_are_overtaken_are_readable(pipeline, ended):
    for end in ended.values():
        assert json.loads(pipeline.read(end.outputs["json"]))["whisperstack"]["job_id"] == end.job_id


@pytest.mark.parametrize(("code", "body"), [("empty_file", b""), ("not_audio", b"no sound at all\n" * 20)])
def test_errors_of_long_names_and_of_versions_that_are_overtaken_are_readable(pipeline, code, body):
    pipeline.pause(True)
    long = [pipeline.put(f"incoming/{letter * 1000}-{code}", body) for letter in "ef"]
    overtaken = [pipeline.put(f"incoming/overtaken/{n}-{code}", body) for n in range(2)]
    overtaking = [pipeline.put(source.key, silence(1)) for source in overtaken]
    pipeline.pause(False)
    ends = {source: pipeline.end_of(source) for source in (*long, *overtaken)}
    assert {pipeline.error(end)["code"] for end in ends.values()} == {code}
    assert [ends[source].current for source in (*long, *overtaken)] == [True, True, False, False]
    assert {pipeline.end_of(source).state for source in overtaking} == {JobState.SUCCEEDED}


def test_an_upload_that_is_deleted_for_good_before_its_turn_is_rejected(pipeline):
    pipeline.pause(True)
    source = pipeline.put("incoming/deleted-for-good.wav", silence(1))
    pipeline.aws.client("s3").delete_object(Bucket=source.bucket, Key=source.key, VersionId=source.version_id)
    pipeline.pause(False)
    end = pipeline.end_of(source)
    assert end.state is JobState.REJECTED
    assert pipeline.error(end)["code"] == "version_gone"


def test_an_upload_that_is_deleted_while_it_waits_is_transcribed_all_the_same(pipeline):
    """A delete marker hides it; its version is there."""
    pipeline.pause(True)
    source = pipeline.put("incoming/hidden.wav", silence(1))
    pipeline.aws.client("s3").delete_object(Bucket=source.bucket, Key=source.key)
    pipeline.pause(False)
    end = pipeline.end_of(source)
    assert (end.state, end.current) == (JobState.SUCCEEDED, False)


def test_an_uploader_can_look_at_and_give_up_an_upload_in_parts(pipeline):
    bucket = pipeline.deployment.audio_bucket
    for key in ("incoming/given-up.wav", "incoming/also-given-up.wav"):
        upload = {"Bucket": bucket, "Key": key}
        upload["UploadId"] = pipeline.uploader.create_multipart_upload(**upload)["UploadId"]
        pipeline.uploader.upload_part(**upload, PartNumber=1, Body=b"a part")
        assert [part["PartNumber"] for part in pipeline.uploader.list_parts(**upload)["Parts"]] == [1]
        pipeline.uploader.abort_multipart_upload(**upload)
