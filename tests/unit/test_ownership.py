"""Whose transcript bears an upload's name: the version's that S3 calls current, whatever happens meanwhile."""

import json
from decimal import Decimal

import pytest

from record_result import handler
from tests.unit.pipeline import AUDIO_BUCKET, TRANSCRIPTS_BUCKET, Pipeline, completed, failed, transcript
from tests.unit.wire import Wire
from whisperstack_contract.jobs import SourceVersion, job_id
from whisperstack_contract.receipt import CostReceipt

KEY = "incoming/a.mp3"


def deleted(source: SourceVersion) -> dict:
    """Source: Amazon S3 user guide, "EventBridge event message structure"."""
    detail = {
        "bucket": {"name": source.bucket},
        "object": {"key": source.key, "version-id": source.version_id},
        "reason": "DeleteObject",
        "deletion-type": "Permanently Deleted",
    }
    return {"source": "aws.s3", "detail-type": "Object Deleted", "detail": detail}


def answer(pipeline: Pipeline, source: SourceVersion, text: str) -> dict:
    return completed(source, pipeline.endpoint_answers(source, transcript(text).to_json().encode()))


def text(pipeline: Pipeline) -> str:
    return pipeline.body("transcripts/a.mp3.txt").strip()


def test_an_older_version_recorded_last_does_not_take_the_name(pipeline: Pipeline, submitted, record):
    old, new = submitted(KEY), submitted(KEY)
    record(answer(pipeline, new, "new"), answer(pipeline, old, "old"))

    assert text(pipeline) == "new"
    assert pipeline.body(f"versions/{job_id(old)}.txt").strip() == "old"
    assert pipeline.body(f"versions/{job_id(new)}.txt").strip() == "new"


def test_results_stay_under_their_job_when_the_name_moves_on(pipeline: Pipeline, submitted, record):
    old = submitted(KEY)
    record(answer(pipeline, old, "old"))
    new = submitted(KEY)
    record(answer(pipeline, new, "new"))

    assert text(pipeline) == "new"
    assert pipeline.body(f"versions/{job_id(old)}.txt").strip() == "old"


@pytest.mark.parametrize("number", range(6))
def test_a_version_that_is_overtaken_while_it_is_recorded_does_not_keep_the_name(
    pipeline: Pipeline, submitted, record, wire: Wire, number: int
):
    """Between any two of its calls, from the look at what lies there on, a newer version is uploaded and recorded."""
    old = submitted(KEY)
    wire.calls.clear()

    def overtake() -> None:
        new = submitted(KEY)
        assert record(answer(pipeline, new, "new")) == [True]

    old_answer = answer(pipeline, old, "old")
    # The row, the output, four objects of the job's own, four looks at the names, one at the upload, four replacements.
    wire.run_before_call(10 + number, overtake)
    assert record(old_answer) == [True]

    assert text(pipeline) == "new"
    assert pipeline.row(old)["state"] == "succeeded"


def test_a_version_that_reappears_gets_its_name_back(pipeline: Pipeline, submitted, record):
    old = submitted(KEY)
    record(answer(pipeline, old, "old"))
    new = submitted(KEY)
    record(answer(pipeline, new, "new"))
    pipeline.s3.delete_object(Bucket=AUDIO_BUCKET, Key=KEY, VersionId=new.version_id)

    assert record(deleted(new), deleted(new)) == [True, True]

    assert text(pipeline) == "old"


def test_a_version_recorded_below_a_delete_marker_gets_the_name_when_the_marker_goes(pipeline: Pipeline, submitted, record):
    source = submitted(KEY)
    marker = pipeline.s3.delete_object(Bucket=AUDIO_BUCKET, Key=KEY)["VersionId"]
    record(answer(pipeline, source, "hidden"))
    record(deleted(source))
    assert pipeline.keys(TRANSCRIPTS_BUCKET, "transcripts/") == set()
    pipeline.s3.delete_object(Bucket=AUDIO_BUCKET, Key=KEY, VersionId=marker)

    assert record(deleted(source)) == [True]

    assert text(pipeline) == "hidden"


def test_a_restored_copy_of_an_old_version_is_a_version_and_a_job_of_its_own(pipeline: Pipeline, submitted, record):
    old, new = submitted(KEY), submitted(KEY)
    record(answer(pipeline, old, "old"), answer(pipeline, new, "new"))
    copied = {"Bucket": AUDIO_BUCKET, "Key": KEY, "VersionId": old.version_id}
    version = pipeline.s3.copy_object(Bucket=AUDIO_BUCKET, Key=KEY, CopySource=copied)["VersionId"]
    restored = SourceVersion(AUDIO_BUCKET, KEY, version)

    assert job_id(restored) not in (job_id(old), job_id(new))


def test_the_error_of_a_version_that_reappears_is_there_again(pipeline: Pipeline, submitted, record):
    old = submitted(KEY)
    record(failed(old))
    new = submitted(KEY)
    record(answer(pipeline, new, "new"))
    assert pipeline.keys(TRANSCRIPTS_BUCKET, "errors/") == set()
    pipeline.s3.delete_object(Bucket=AUDIO_BUCKET, Key=KEY, VersionId=new.version_id)

    record(deleted(new))

    assert pipeline.keys(TRANSCRIPTS_BUCKET, "errors/") == {"errors/a.mp3.error.json"}


@pytest.mark.usefixtures("pipeline")
def test_a_deletion_in_another_bucket_is_not_acknowledged(record):
    assert record(deleted(SourceVersion("elsewhere", KEY, "1"))) == [False]


def test_a_transcript_of_a_cut_off_recording_is_partial_and_has_a_receipt(pipeline: Pipeline, submitted, record):
    source = submitted(KEY)
    warning = {"code": "truncated_audio", "message": "the file was cut off"}
    document = transcript("half").to_json().replace('"warnings": []', f'"warnings": [{json.dumps(warning)}]')
    record(completed(source, pipeline.endpoint_answers(source, document.encode())))

    ((announcement, attributes),) = pipeline.announcements()
    assert (announcement.state, attributes["state"]) == ("partial", "partial")
    assert text(pipeline) == "half"
    job = handler.room().recording.jobs.load(job_id(source))
    assert job
    assert job.ending
    receipt = job.ending.receipt
    assert receipt
    assert receipt == CostReceipt(Decimal(2), Decimal("0.1"), "ml.g5.xlarge", Decimal("0.00003911"), "2026-11-22")
