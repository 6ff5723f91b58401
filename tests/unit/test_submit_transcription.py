"""From an upload to a request to the endpoint."""

import dataclasses
import time

import pytest
from botocore.stub import Stubber

from submit_transcription import handler
from tests.unit.pipeline import AUDIO_BUCKET, ENDPOINT, TIMES, Pipeline, object_created
from tests.unit.strange_keys import STRANGE_KEYS
from tests.unit.wire import Wire
from whisperstack_contract import variables
from whisperstack_contract.jobs import SourceVersion, job_id
from whisperstack_contract.options import TranscriptionOptions


def test_an_upload_is_copied_and_sent_to_the_endpoint(pipeline: Pipeline, submit, wire: Wire):
    source = pipeline.upload("incoming/talk.mp3", b"sound", ContentType="audio/mpeg")

    assert submit(object_created(source)) == [True]

    job = job_id(source)
    assert pipeline.body(f"staged/{job}", AUDIO_BUCKET) == "sound"
    assert wire.parameters("InvokeEndpointAsync") == {
        "EndpointName": ENDPOINT,
        "InputLocation": f"s3://{AUDIO_BUCKET}/staged/{job}",
        "InferenceId": f"{job}-1",
        "ContentType": "audio/mpeg",
        "CustomAttributes": TranscriptionOptions(language="en").to_custom_attributes(),
        "InvocationTimeoutSeconds": 1800,
        "RequestTTLSeconds": 21600,
        "S3OutputPathExtension": f"{job}/1",
        "Filename": "transcript.json",
    }
    row = pipeline.row(source)
    assert row["state"] == "submitted"
    assert row["source_key"] == "incoming/talk.mp3"
    assert row["inference_id"] == f"{job}-1"
    assert row["model_digest"] == "d" * 64
    assert row["output_location"].startswith("s3://")
    assert row["failure_location"].startswith("s3://")
    assert row["invoked_at"] > row["created_at"]
    assert float(row["lost_at"]) == pytest.approx(time.time() + 21600 + 1800 + 900, abs=60)
    assert float(row["deadline"]) < float(row["lost_at"])
    assert pipeline.active_jobs() == [job]


@pytest.mark.parametrize("kept", [None, 400 * 24 * 3600])
def test_a_row_is_deleted_once_what_it_tells_of_is_gone_and_never_where_that_is_kept(
    pipeline: Pipeline, submit, monkeypatch, kept: int | None
):
    monkeypatch.setenv(variables.JOB_TIMES, dataclasses.replace(TIMES, kept=kept).to_json())
    source = pipeline.upload("incoming/a.mp3")
    submit(object_created(source))

    row = pipeline.row(source)
    assert ("expires_at" in row) is (kept is not None)
    if kept is not None:
        latest_end = time.time() + TIMES.age_limit
        assert float(row["expires_at"]) == pytest.approx(latest_end + kept, abs=60)


def test_the_intent_is_written_before_the_endpoint_is_called(pipeline: Pipeline, submit, wire: Wire):
    submit(object_created(pipeline.upload("incoming/a.mp3")))

    assert wire.operations == [
        "PutItem", "HeadObject", "CopyObject", "GetItem", "UpdateItem", "UpdateItem", "InvokeEndpointAsync", "UpdateItem",
    ]  # fmt: skip


@pytest.mark.parametrize("key", STRANGE_KEYS.values(), ids=STRANGE_KEYS)
def test_any_key_that_s3_takes_can_be_transcribed(pipeline: Pipeline, submit, key: str):
    source = pipeline.upload(key, key.encode())

    assert submit(object_created(source)) == [True]

    assert pipeline.body(f"staged/{job_id(source)}", AUDIO_BUCKET) == key
    assert pipeline.row(source)["source_key"] == key


def test_a_repeated_event_does_no_work_twice(pipeline: Pipeline, submit, wire: Wire):
    event = object_created(pipeline.upload("incoming/a.mp3"))

    assert submit(event, event) == [True, True]
    assert submit(event) == [True]

    assert wire.operations.count("InvokeEndpointAsync") == 1
    assert wire.operations.count("CopyObject") == 1
    assert pipeline.jobs() == 1


def test_a_submission_makes_the_same_calls_however_many_jobs_there_are(submitted, wire: Wire):
    submitted("incoming/first.mp3")
    alone, wire.calls[:] = wire.operations, []
    for number in range(30):
        submitted(f"incoming/{number}.mp3")
    wire.calls.clear()
    submitted("incoming/last.mp3")
    assert wire.operations == alone
    # Each by its key: what reads an index or the whole table costs more as the table grows.
    assert not {"Query", "Scan"} & set(wire.operations)


def test_two_versions_of_a_key_are_two_jobs(pipeline: Pipeline, submit):
    sources = [pipeline.upload("incoming/a.mp3", body) for body in (b"one", b"two")]

    assert submit(*[object_created(source) for source in sources]) == [True, True]

    assert [pipeline.body(f"staged/{job_id(source)}", AUDIO_BUCKET) for source in sources] == ["one", "two"]


def test_a_delivery_that_meets_another_one_is_put_off(pipeline: Pipeline, submit, wire: Wire):
    event = object_created(pipeline.upload("incoming/a.mp3"))
    wire.run_before_state("submitted", lambda: submit(event))

    assert submit(event) == [False]
    assert submit(event) == [True]

    assert wire.operations.count("InvokeEndpointAsync") == 1


def test_a_recording_below_a_delete_marker_is_still_transcribed(pipeline: Pipeline, submit):
    source = pipeline.upload("incoming/a.mp3", b"sound")
    pipeline.s3.delete_object(Bucket=AUDIO_BUCKET, Key=source.key)

    assert submit(object_created(source)) == [True]

    assert pipeline.body(f"staged/{job_id(source)}", AUDIO_BUCKET) == "sound"


@pytest.mark.parametrize(
    ("declared", "sent"),
    [
        ("audio/flac", "audio/flac"),
        ("video/mp4; codecs=avc1", "video/mp4; codecs=avc1"),
        ("text/plain", "application/octet-stream"),
        ("application/json", "application/octet-stream"),
        ("binary/octet-stream", "application/octet-stream"),
    ],
)
def test_the_endpoint_gets_only_content_types_of_media(pipeline: Pipeline, submit, wire: Wire, declared: str, sent: str):
    """A serving stack hands text to its handler as str."""
    source = pipeline.upload("incoming/a", ContentType=declared)

    submit(object_created(source))

    assert wire.parameters("InvokeEndpointAsync")["ContentType"] == sent
    assert pipeline.s3.head_object(Bucket=AUDIO_BUCKET, Key=f"staged/{job_id(source)}")["ContentType"] == sent


def test_the_copy_carries_none_of_the_uploads_metadata_and_tags(pipeline: Pipeline, submit):
    source = pipeline.upload("incoming/a", Metadata={"patient": "x"}, Tagging="secret=1")

    submit(object_created(source))

    copy = {"Bucket": AUDIO_BUCKET, "Key": f"staged/{job_id(source)}"}
    assert pipeline.s3.head_object(**copy)["Metadata"] == {}
    assert pipeline.s3.get_object_tagging(**copy)["TagSet"] == []


@pytest.mark.parametrize("code", ["ThrottlingException", "ValidationException", "ServiceUnavailable"])
def test_an_upload_that_the_endpoint_does_not_take_is_tried_again(pipeline: Pipeline, submit, wire: Wire, code: str):
    source = pipeline.upload("incoming/a.mp3")
    with Stubber(handler.submission().sagemaker) as sagemaker:
        sagemaker.add_client_error("invoke_endpoint_async", code)
        assert submit(object_created(source)) == [False]
    assert "invoked_at" not in pipeline.row(source)

    assert submit(object_created(source)) == [True]

    assert pipeline.row(source)["attempt"] == "1"
    assert wire.operations.count("CopyObject") == 1


def test_one_failure_leaves_the_rest_of_its_batch_alone(pipeline: Pipeline, submit):
    good = [object_created(pipeline.upload(f"incoming/{name}.mp3")) for name in "ab"]

    assert submit(good[0], "poison", good[1]) == [True, False, True]


def _changed(path: str, value: object) -> dict:
    event = object_created(SourceVersion(AUDIO_BUCKET, "incoming/a.mp3", "v"))
    place = event
    *parents, last = path.split("/")
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return event


@pytest.mark.parametrize(
    "body",
    [
        "",
        "poison",
        "null",
        "[]",
        '{"Records": []}',
        '{"Event": "s3:TestEvent"}',
        "[" * 100_000,
        _changed("detail-type", "Object Deleted"),
        _changed("detail/object/version-id", None),
        _changed("detail/object/size", "5"),
        _changed("detail/object/size", -1),
        _changed("detail/object/key", ""),
        _changed("detail/object/key", "staged/abc"),
        _changed("detail/object/key", "incoming/\ud800"),
        _changed("detail/bucket/name", "another-bucket"),
        _changed("detail/bucket", "audio"),
    ],
)
def test_a_message_that_is_no_upload_of_ours_ends_in_the_dead_letter_queue(pipeline: Pipeline, submit, body):
    assert submit(body) == [False]

    assert pipeline.jobs() == 0
    assert pipeline.announcements() == []


def test_logs_name_jobs_and_neither_keys_nor_messages_that_quote_them(pipeline: Pipeline, submit, log):
    source = pipeline.upload("incoming/secret name.mp3")
    submit(object_created(source))
    submit(_changed("detail/object/key", "elsewhere/secret name.mp3"))
    submit(object_created(SourceVersion("elsewhere", "incoming/secret name.mp3", "v")))

    assert job_id(source) in log.getvalue()
    assert "secret name" not in log.getvalue()
    assert '"error_type":"ValueError"' in log.getvalue()


def test_a_line_about_one_upload_does_not_name_the_job_before_it(pipeline: Pipeline, submit, log):
    source = pipeline.upload("incoming/a.mp3")
    submit(object_created(source), "poison")

    assert job_id(source) not in log.getvalue().splitlines()[-1]


@pytest.mark.parametrize(("size", "metric"), [(5, "JobsSubmitted"), (0, "JobsRejected")])
def test_outcomes_are_counted(pipeline: Pipeline, submit, capsys, size: int, metric: str):
    submit(object_created(pipeline.upload("incoming/a.mp3"), size))

    assert f'"{metric}":[1.0]' in capsys.readouterr().out


def test_options_are_frozen_when_the_upload_is_first_seen(pipeline: Pipeline, submit, wire: Wire, monkeypatch):
    source = pipeline.upload("incoming/a.mp3")
    with Stubber(handler.submission().sagemaker) as sagemaker:
        sagemaker.add_client_error("invoke_endpoint_async", "ThrottlingException")
        submit(object_created(source))
    monkeypatch.setenv("WHISPERSTACK_DEFAULT_OPTIONS", '{"language": "de"}')
    handler.submission.cache_clear()
    wire.calls.clear()

    submit(object_created(source))

    assert '"language":"en"' in wire.parameters("InvokeEndpointAsync")["CustomAttributes"]
