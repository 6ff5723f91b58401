"""A batch from its start to its report: what is transcribed, what is left alone, and what a second run does."""

import io
import json

import pytest

from batch_runs.run import BatchInputError
from plan_batch import sharing
from tests.unit.batch import GOOD, PREFIX, Batch, error
from tests.unit.pipeline import Pipeline, completed, object_created, transcript
from tests.unit.strange_keys import STRANGE_KEYS
from whisperstack_contract import keys, variables
from whisperstack_contract.batch_limits import BatchLimits
from whisperstack_contract.jobs import SourceVersion, job_id
from whisperstack_contract.limits import MIB

BAD = {
    "empty.mp3": b"",
    "no folder/": error("truncated_file"),
    "text.mp3": error("not_audio"),
    "video without sound.mp4": error("no_audio_track"),
    "bomb.wav": error("audio_too_long"),
    "drm.m4a": error("encrypted_audio"),
    "cut.mp3": error("decoding_failed"),
    "odd.wav": error("unsupported_audio"),
    "silent.mp3": error("no_samples"),
}


UNHEARD = {f"{PREFIX}{name}" for name in ("empty.mp3", "options.mp3")}


@pytest.fixture
def mixed(pipeline: Pipeline, submit, record) -> dict[str, list[SourceVersion]]:
    """200 recordings: 183 new ones, 10 bad ones, 2 that are too large, and 5 that have been transcribed before."""
    done = [pipeline.upload(f"{PREFIX}done {number}.mp3") for number in range(5)]
    for source in done:
        assert submit(object_created(source)) == [True]
        assert record(completed(source, pipeline.endpoint_answers(source, GOOD))) == [True]
    bad = [pipeline.upload(PREFIX + name, body) for name, body in BAD.items()]
    bad.append(pipeline.upload(f"{PREFIX}options.mp3", Metadata={"whisperstack-beam-size": "99"}))
    large = [pipeline.upload(f"{PREFIX}large {number}.mp3", b"x" * (MIB + 1)) for number in range(2)]
    # moto lists versions without the encoding that botocore asks for, so that a carriage return is lost on the way.
    tame = [key for key in STRANGE_KEYS.values() if len(key) < 900 and key != "incoming/" and "\r" not in key]
    odd = [key.replace("incoming/", PREFIX, 1) for key in tame]
    names = odd + [f"{PREFIX}会議 {number}/talk+{number}.mp3" for number in range(183 - len(odd))]
    good = [pipeline.upload(name) for name in names]
    pipeline.upload(f"{PREFIX}_START", b"")
    # As S3's console makes folders.
    for folder in (PREFIX, f"{PREFIX}empty folder/"):
        pipeline.upload(folder, b"")
    pipeline.announcements()
    return {"done": done, "bad": bad, "large": large, "good": good}


def test_a_mixed_batch_comes_to_its_ends_and_a_second_run_has_nothing_to_do(
    batch: Batch, pipeline: Pipeline, mixed, submit, record
):
    summary = batch.run()

    counts = {name: count for name, count in summary["counts"].items() if count}
    assert counts == {"succeeded": 183, "failed": 8, "rejected": 2, "sent_on": 2, "done": 5}
    assert (summary["state"], summary["recordings"]) == ("complete", 200)
    assert pipeline.active_jobs() == []
    # Consumers hear of each end as they do of the endpoint's.
    ends = {announcement.source.key: announcement for announcement, _ in pipeline.announcements()}
    assert ends.keys() == {source.key for source in (*mixed["good"], *mixed["bad"])}
    for source in mixed["good"]:
        assert ends[source.key].outputs["txt"] == keys.transcript_key(source.key, "txt")
    answered = {json.loads(body)["error"]["code"] for body in BAD.values() if body}
    codes = {ends[source.key].error.code for source in mixed["bad"]}
    assert codes == {"empty_file", "invalid_options", *answered}
    assert pipeline.body("batch-transcripts/monday/会議 7/talk+7.mp3.txt") == "Ask not.\n"
    heard = [source for source in (*mixed["good"], *mixed["bad"]) if source.key not in UNHEARD]
    assert batch.calls == {job_id(source): 1 for source in heard}

    # What is too large goes its way through the asynchronous pipeline.
    sent_on = pipeline.received(pipeline.intake)
    assert submit(*sent_on) == [True, True]
    for source in mixed["large"]:
        assert record(completed(source, pipeline.endpoint_answers(source, GOOD))) == [True]
    assert {end.outputs["json"] for end, _ in pipeline.announcements()} == {
        "batch-transcripts/monday/large 0.mp3.json",
        "batch-transcripts/monday/large 1.mp3.json",
    }

    jobs = len(batch.jobs)
    again = batch.run()

    assert len(batch.jobs) == jobs, "a job was created for nothing"
    assert {name: count for name, count in again["counts"].items() if count} == {"done": 190, "failed_before": 10}
    assert (again["state"], again["usd"]) == ("complete", 0)
    assert pipeline.received(pipeline.intake) == []
    assert pipeline.announcements() == []


def test_a_recording_without_an_output_is_tried_once_more_and_then_goes_to_the_endpoint(
    batch: Batch, pipeline: Pipeline, submit, record
):
    missing, well = pipeline.upload(f"{PREFIX}missing.mp3", b"no output"), pipeline.upload(f"{PREFIX}well.mp3")

    summary = batch.run()

    assert batch.calls == {job_id(missing): 2, job_id(well): 1}
    assert [item["round"] for item in batch.jobs] == [1, 2]
    assert (summary["counts"]["succeeded"], summary["counts"]["sent_on"], summary["unfinished"]) == (1, 1, 0)
    row = pipeline.row(missing)
    assert (row["state"], row["attempt"], row["requeues"], row["failures"]) == ("received", "2", "2", "0")
    assert "batch" not in row
    assert submit(*pipeline.received(pipeline.intake)) == [True]
    assert pipeline.row(missing)["state"] == "submitted"
    assert record(completed(missing, pipeline.endpoint_answers(missing, GOOD, attempt=3), attempt=3)) == [True]
    assert [end.state for end, _ in pipeline.announcements()] == ["succeeded", "succeeded"]
    assert pipeline.active_jobs() == []


def test_an_error_that_may_pass_is_tried_once_more_and_the_second_answer_counts(batch: Batch, pipeline: Pipeline):
    source = pipeline.upload(f"{PREFIX}a.mp3")
    answers = [error("gpu_lost", retryable=True), GOOD]
    batch.model = lambda _body: answers.pop(0)

    summary = batch.run()

    assert summary["counts"]["succeeded"] == 1
    assert [end.state for end, _ in pipeline.announcements()] == ["succeeded"]
    row = pipeline.row(source)
    assert (row["state"], row["attempt"], row["failures"]) == ("succeeded", "2", "1")
    assert pipeline.keys("transcripts", "batch-errors/") == set()


def test_an_error_that_may_pass_goes_to_the_endpoint_when_it_is_due(batch: Batch, pipeline: Pipeline, submit, reconcile):
    source = pipeline.upload(f"{PREFIX}a.mp3", error("out_of_memory", retryable=True))

    assert batch.run()["counts"]["sent_on"] == 1

    assert submit(*pipeline.received(pipeline.intake)) == [True]
    assert pipeline.row(source)["state"] == "received", "before its time"
    pipeline.make_due(source)
    reconcile()
    assert (pipeline.row(source)["state"], pipeline.row(source)["attempt"]) == ("submitted", "3")


def test_without_an_asynchronous_pipeline_what_is_left_ends_with_an_error(
    pipeline: Pipeline, batch: Batch, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(variables.LEFTOVERS, "false")
    monkeypatch.delenv(variables.INTAKE_QUEUE)
    for name, body in {"large": b"x" * (MIB + 1), "missing": b"no output", "ill": error("gpu_lost", retryable=True)}.items():
        pipeline.upload(f"{PREFIX}{name}", body)

    summary = batch.run()

    assert {name: count for name, count in summary["counts"].items() if count} == {"rejected": 1, "failed": 2}
    ends = {end.source.key.removeprefix(PREFIX): end.error for end, _ in pipeline.announcements()}
    assert {name: error.code for name, error in ends.items()} == {
        "large": "file_too_large",
        "missing": "inference_failed",
        "ill": "gpu_lost",
    }
    assert "limit of batch inference is 1048576" in ends["large"].message
    assert pipeline.active_jobs() == []


def test_a_transform_job_that_got_no_instance_costs_no_recording_its_try(batch: Batch, pipeline: Pipeline):
    source = pipeline.upload(f"{PREFIX}a.mp3")
    execution = batch.start()
    batch.recover(execution)
    batch.page(execution)
    (item,) = batch.items(batch.share(execution))
    batch.create(item, f"{item['job_name']}-0-0")
    batch.job(f"{item['job_name']}-0-0").transform_job_status = "Failed"
    batch.job(f"{item['job_name']}-0-0").transform_start_time = None

    assert batch.collect(execution, item) == {"unfinished": 1}
    assert batch.share(execution, 2)["shards"] == 0
    batch.leftovers(execution)
    summary = batch.report(execution)

    assert (summary["state"], summary["unfinished"]) == ("incomplete", 1)
    assert pipeline.received(pipeline.intake) == []
    # The next execution goes on with what is missing.
    assert batch.run()["counts"]["succeeded"] == 1
    assert batch.calls == {job_id(source): 1}


def test_each_job_has_recordings_with_the_same_options_and_room_for_the_largest(
    pipeline: Pipeline, batch: Batch, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(variables.BATCH_LIMITS, BatchLimits(payload_mib=100, concurrency=4).to_json())
    german = pipeline.upload(f"{PREFIX}german.mp3", Metadata={"whisperstack-language": "de"})
    small = pipeline.upload(f"{PREFIX}small.mp3")
    large = pipeline.upload(f"{PREFIX}large.mp3", b"x" * (40 * MIB))

    batch.run()

    made = {
        tuple(batch.inputs(item)): (item["environment"]["WHISPERSTACK_OPTIONS"], item["payload_mb"], item["concurrency"])
        for item in batch.jobs
    }
    assert made == {
        (job_id(german),): ('{"language":"de"}', 1, 4),
        (job_id(small),): ('{"language":"en"}', 1, 4),
        (job_id(large),): ('{"language":"en"}', 42, 2),
    }
    assert all(item["environment"]["WHISPERSTACK_INFERENCE_OPTION"] == "batch" for item in batch.jobs)


def test_the_rarest_of_too_many_options_go_to_the_endpoint(
    batch: Batch, pipeline: Pipeline, submit, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sharing, "MOST_OPTIONS", 2)
    languages = ["en", "en", "de", "de", "fr"]
    *_, rare = [
        pipeline.upload(f"{PREFIX}{number}.mp3", Metadata={"whisperstack-language": language})
        for number, language in enumerate(languages)
    ]

    summary = batch.run()

    assert (summary["counts"]["succeeded"], summary["counts"]["sent_on"], summary["unfinished"]) == (4, 1, 0)
    assert submit(*pipeline.received(pipeline.intake)) == [True]
    row = pipeline.row(rare)
    assert (row["state"], row["options"], "batch" in row) == ("submitted", '{"language":"fr"}', False)


def test_a_batch_and_the_same_name_below_incoming_have_results_of_their_own(batch: Batch, pipeline: Pipeline, submit, record):
    upload = pipeline.upload("incoming/batch/monday/a.mp3")
    submit(object_created(upload))
    record(completed(upload, pipeline.endpoint_answers(upload, transcript("From the endpoint.").to_json().encode())))
    pipeline.upload(f"{PREFIX}a.mp3")

    batch.run()

    assert pipeline.body("transcripts/batch/monday/a.mp3.txt") == "From the endpoint.\n"
    assert pipeline.body("batch-transcripts/monday/a.mp3.txt") == "Ask not.\n"


def test_uploads_below_incoming_can_be_a_batch_too(batch: Batch, pipeline: Pipeline):
    pipeline.upload("incoming/archive/a.mp3")

    assert batch.run(prefix="incoming/archive/")["counts"]["succeeded"] == 1

    assert pipeline.body("transcripts/archive/a.mp3.txt") == "Ask not.\n"


def test_only_the_current_version_is_transcribed_and_a_deleted_one_is_not(batch: Batch, pipeline: Pipeline):
    pipeline.upload(f"{PREFIX}a.mp3", b"first")
    current = pipeline.upload(f"{PREFIX}a.mp3", b"second")
    pipeline.upload(f"{PREFIX}b.mp3")
    pipeline.s3.delete_object(Bucket="audio", Key=f"{PREFIX}b.mp3")

    batch.run()

    assert batch.calls == {job_id(current): 1}


def test_a_batch_that_nothing_lies_below_is_complete_at_once(batch: Batch):
    summary = batch.run()

    assert (summary["state"], summary["recordings"], batch.jobs) == ("complete", 0, [])


@pytest.mark.parametrize(
    ("started_with", "reason"),
    [
        ({}, "batch/<run>/_START"),
        ({"prefix": 7}, "batch/<run>/_START"),
        ({"prefix": "batch/monday"}, "end in a slash"),
        ({"prefix": "staged/"}, "below one of incoming/, batch/"),
        ({"prefix": "batch/" + "é" * 500 + "/"}, "the limit is 900"),
        ({"start_key": "batch/monday/start"}, "batch/<run>/_START"),
        ({"start_key": "incoming/_START"}, "batch/<run>/_START"),
    ],
)
def test_an_execution_that_is_started_for_no_batch_says_how_to_start_one(batch: Batch, started_with, reason: str):
    with pytest.raises(BatchInputError, match=reason):
        batch.plan("recover", batch.start(), input=started_with, started_at="2026-11-24T01:00:00Z", poll_seconds=60)


def test_a_start_marker_begins_the_batch_of_its_folder(batch: Batch):
    given = {"input": {"start_key": "batch/müde/2026 11/_START"}, "started_at": "2026-11-24T01:00:00Z", "poll_seconds": 60}
    ready = batch.plan("recover", batch.start(), **given)

    assert (ready["status"], ready["prefix"]) == ("ready", "batch/müde/2026 11/")


def test_no_key_and_no_text_is_in_the_log(batch: Batch, pipeline: Pipeline, log: io.StringIO):
    pipeline.upload(f"{PREFIX}secret name.mp3")
    pipeline.upload(f"{PREFIX}secret too.mp3", error("not_audio"))

    batch.run()

    assert "batch reported" in log.getvalue()
    assert "secret" not in log.getvalue()
    assert "Ask not" not in log.getvalue()
