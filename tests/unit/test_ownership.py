"""Whose transcript bears an upload's name: the version's that S3 calls current, whatever happens meanwhile."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from decimal import Decimal

import pytest

from record_result import handler
from tests.unit.pipeline import AUDIO_BUCKET, TRANSCRIPTS_BUCKET, Pipeline, completed, failed, object_created, transcript
from tests.unit.wire import Crash, Wire
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


def uploaded(pipeline: Pipeline, submit) -> SourceVersion:
    source = pipeline.upload(KEY)
    assert submit(object_created(source)) == [True]
    return source


def asking_for(pipeline: Pipeline, submit, formats: str) -> SourceVersion:
    source = pipeline.upload(KEY, Metadata={"whisperstack-formats": formats})
    assert submit(object_created(source)) == [True]
    return source


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


@pytest.mark.parametrize("number", range(11))
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
    # The row, the output, four objects of the job's own, a look at the first name and one at the upload; then it is replaced.
    wire.run_before_call(7 + number, overtake)
    assert record(old_answer) == [True]

    assert text(pipeline) == "new"
    assert json.loads(pipeline.body("transcripts/a.mp3.json"))["text"] == "new"
    assert pipeline.row(old)["state"] == "succeeded"


def test_a_version_that_asks_for_fewer_renderings_leaves_none_of_an_older_one(pipeline: Pipeline, submit, record):
    old, new = asking_for(pipeline, submit, "txt,srt,vtt,tsv"), asking_for(pipeline, submit, "txt")
    record(answer(pipeline, old, "old"))
    record(answer(pipeline, new, "new"))

    assert pipeline.keys(TRANSCRIPTS_BUCKET, "transcripts/") == {"transcripts/a.mp3.json", "transcripts/a.mp3.txt"}
    assert text(pipeline) == "new"


@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "dies there"])
@pytest.mark.parametrize("number", range(11))
def test_a_version_that_is_overtaken_by_one_with_fewer_renderings_leaves_none(
    pipeline: Pipeline, submit, record, wire: Wire, number: int, dies: bool
):
    """Between any two of its calls, from the look at what lies there on; it may also die there, and be told again."""
    old = asking_for(pipeline, submit, "txt,srt,vtt,tsv")
    old_answer = answer(pipeline, old, "old")
    wire.calls.clear()

    def overtake() -> None:
        assert record(answer(pipeline, asking_for(pipeline, submit, "txt"), "new")) == [True]
        if dies:
            raise Crash

    wire.run_before_call(7 + number, overtake)
    with pytest.raises(Crash) if dies else nullcontext():
        record(old_answer)
    assert record(old_answer) == [True]

    assert pipeline.keys(TRANSCRIPTS_BUCKET, "transcripts/") == {"transcripts/a.mp3.json", "transcripts/a.mp3.txt"}
    assert text(pipeline) == "new"


@pytest.mark.parametrize("number", range(11))
def test_a_publication_that_was_cut_off_is_finished_though_its_version_is_deleted_by_then(
    pipeline: Pipeline, submitted, record, wire: Wire, number: int
):
    """Half of its renderings beside half of an older version's would be of no version."""
    old = submitted(KEY)
    record(answer(pipeline, old, "old"))
    new = submitted(KEY)
    new_answer = answer(pipeline, new, "new")
    wire.crash_before_call(7 + number)
    with pytest.raises(Crash):
        record(new_answer)
    pipeline.s3.delete_object(Bucket=AUDIO_BUCKET, Key=KEY)

    assert record(new_answer) == [True]

    # Nothing was begun before the first name was written.
    assert text(pipeline) == json.loads(pipeline.body("transcripts/a.mp3.json"))["text"]
    assert text(pipeline) == pipeline.body("transcripts/a.mp3.srt").splitlines()[2] == ("new" if number > 1 else "old")


def test_a_name_that_is_given_back_is_given_back_whole_wherever_the_function_dies(
    new_pipeline: Callable[[], Pipeline], submit, record, wire: Wire
):
    for number in range(100):
        pipeline = new_pipeline()
        old, new = uploaded(pipeline, submit), uploaded(pipeline, submit)
        record(answer(pipeline, old, "old"), answer(pipeline, new, "new"))
        pipeline.s3.delete_object(Bucket=AUDIO_BUCKET, Key=KEY, VersionId=new.version_id)
        wire.calls.clear()
        wire.crash_before_call(number)
        try:
            record(deleted(new))
        except Crash:
            pipeline.s3.delete_object(Bucket=AUDIO_BUCKET, Key=KEY)
            assert record(deleted(new)) == [True]
            assert text(pipeline) == json.loads(pipeline.body("transcripts/a.mp3.json"))["text"], number
            assert text(pipeline) == pipeline.body("transcripts/a.mp3.srt").splitlines()[2], number
        else:
            assert number > 10
            return


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
