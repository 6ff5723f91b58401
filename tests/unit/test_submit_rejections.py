"""Uploads that are refused before the endpoint hears of them."""

import pytest
from botocore.stub import Stubber

from submit_transcription import handler
from tests.unit.pipeline import AUDIO_BUCKET, TRANSCRIPTS_BUCKET, Pipeline, object_created
from tests.unit.wire import Wire
from whisperstack_contract.jobs import job_id
from whisperstack_contract.limits import ASYNC_PAYLOAD_BYTES


@pytest.mark.parametrize(
    ("key", "size", "code"),
    [
        ("incoming/folder/", 0, "folder_marker"),
        ("incoming/a.mp3", 0, "empty_file"),
        ("incoming/a.mp3", ASYNC_PAYLOAD_BYTES + 1, "file_too_large"),
    ],
)
def test_what_cannot_be_transcribed_is_rejected_before_any_copy(
    pipeline: Pipeline, submit, wire: Wire, key: str, size: int, code: str
):
    source = pipeline.upload(key)

    assert submit(object_created(source, size)) == [True]

    assert "CopyObject" not in wire.operations
    row = pipeline.row(source)
    assert (row["state"], row["error_code"]) == ("rejected", code)
    ((announcement, attributes),) = pipeline.announcements()
    assert attributes == {"state": "rejected", "code": code}
    assert announcement.error.code == code
    assert announcement.error.as_dict()["error"]["code"] in pipeline.body(announcement.outputs["error"])
    assert announcement.outputs == {"error": f"errors/{key.removeprefix('incoming/')}.error.json"}
    assert pipeline.active_jobs() == []


def test_the_largest_file_that_the_endpoint_takes_is_submitted(pipeline: Pipeline, submit):
    source = pipeline.upload("incoming/a.mp3")

    submit(object_created(source, ASYNC_PAYLOAD_BYTES))

    assert pipeline.row(source)["state"] == "submitted"


def test_a_repeated_event_of_a_rejected_upload_announces_nothing_new(pipeline: Pipeline, submit):
    event = object_created(pipeline.upload("incoming/a.mp3"), size=0)

    assert submit(event, event) == [True, True]

    assert len(pipeline.announcements()) == 1


def test_a_version_deleted_before_the_copy_is_rejected(pipeline: Pipeline, submit):
    source = pipeline.upload("incoming/a.mp3")
    pipeline.s3.delete_object(Bucket=AUDIO_BUCKET, Key=source.key, VersionId=source.version_id)

    assert submit(object_created(source)) == [True]

    assert pipeline.row(source)["error_code"] == "version_gone"
    ((announcement, _),) = pipeline.announcements()
    assert not announcement.current
    assert pipeline.keys(TRANSCRIPTS_BUCKET) == {f"versions/{job_id(source)}.error.json"}


def test_a_version_deleted_between_the_look_and_the_copy_is_rejected(pipeline: Pipeline, submit):
    source = pipeline.upload("incoming/a.mp3")
    with Stubber(handler.submission().s3) as s3:
        s3.add_response("head_object", {"ContentType": "audio/mpeg"})
        s3.add_client_error("copy_object", "NoSuchVersion", http_status_code=404)
        s3.add_response("put_object", {"ETag": '"e"'})
        s3.add_client_error("head_object", "404", http_status_code=404)
        s3.add_client_error("head_object", "404", http_status_code=404)
        assert submit(object_created(source)) == [True]

    assert pipeline.row(source)["error_code"] == "version_gone"
