"""What a batch's report says, to programs and to people."""

import json
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from batch_runs.run_rows import RunTakenOverError
from collect_batch.report import Listed
from collect_batch.report_page import page
from tests.unit.batch import PREFIX, Batch, error
from tests.unit.pipeline import Pipeline, transcript
from whisperstack_contract import keys, variables
from whisperstack_contract.limits import MIB
from whisperstack_contract.receipt import Instances
from whisperstack_contract.transcript import Warning as TranscriptWarning

HOSTILE = f"{PREFIX}<script>alert(1)</script>&\"'.mp3"


class Elements(HTMLParser):
    """The names of a page's elements, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.names.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def heard(pipeline: Pipeline) -> str:
    """A queue that hears of batches."""
    queue = pipeline.sqs.create_queue(QueueName="batches")["QueueUrl"]
    arn = pipeline.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    attributes = {"RawMessageDelivery": "true"}
    pipeline.sns.subscribe(TopicArn=pipeline.batch_topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
    return queue


def run_two_shards(batch: Batch) -> dict[str, Any]:
    """A run whose transform jobs take an hour each."""
    transform = batch.transform

    def take_an_hour(item: dict[str, Any]) -> None:
        transform(item)
        job = batch.job(f"{item['job_name']}-0-0")
        job.transform_end_time = job.transform_start_time + timedelta(hours=1)

    batch.transform = take_an_hour
    return batch.run()


def test_totals_failures_warnings_and_cost_are_told(batch: Batch, pipeline: Pipeline, heard: str):
    doubtful = transcript()
    warnings = (TranscriptWarning("low_confidence", "m", 0.0, 1.0), TranscriptWarning("low_confidence", "m", 1.0, 2.0))
    doubtful = replace(doubtful, whisperstack=replace(doubtful.whisperstack, warnings=warnings))
    pipeline.upload(f"{PREFIX}doubtful.mp3", b"doubtful")
    pipeline.upload(f"{PREFIX}empty.mp3", b"")
    pipeline.upload(f"{PREFIX}video.mp4", error("no_audio_track"), Metadata={"whisperstack-language": "de"})
    answer = batch.model
    batch.model = lambda body: doubtful.to_json().encode() if body == b"doubtful" else answer(body)

    summary = run_two_shards(batch)

    report = json.loads(pipeline.body(summary["reports"]["json"]))
    assert (report["state"], report["recordings"], report["audio_seconds"]) == ("complete", 3, 2.0)
    assert {name: count for name, count in report["counts"].items() if count} == {"succeeded": 1, "failed": 1, "rejected": 1}
    assert report["failures"] == {
        "count": 2,
        "first": [
            {
                "key": f"{PREFIX}empty.mp3",
                "code": "empty_file",
                "message": "the file has 0 bytes; upload it again, and wait for the upload to finish",
            },
            {"key": f"{PREFIX}video.mp4", "code": "no_audio_track", "message": "<b>no_audio_track</b> & more"},
        ],
    }
    assert report["warnings"] == {"low_confidence": {"count": 1, "first": [{"key": f"{PREFIX}doubtful.mp3"}]}}
    # Two jobs, an hour each, at 1.408 USD.
    assert report["cost"] == {
        "instance_type": "ml.g5.xlarge",
        "instance_hours": 2.0,
        "usd": 2.816,
        "usd_per_hour": 1.408,
        "prices_as_of": "2026-11-22",
    }
    assert [job["status"] for job in report["transform_jobs"]] == ["Completed", "Completed"]
    (message,) = pipeline.received(heard)
    assert json.loads(message) == summary
    assert (summary["usd"], summary["transcripts_bucket"]) == (2.816, "transcripts")


def test_the_page_says_the_same_and_runs_nothing(batch: Batch, pipeline: Pipeline):
    pipeline.upload(HOSTILE, error("not_audio"))
    pipeline.upload(f"{PREFIX}odd.mp3", error("not_audio"))

    key = batch.run()["reports"]["html"]

    shown = Elements(pipeline.body(key))
    assert shown.names <= {*("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p"), *("table", "thead",
                           "tbody", "tr", "th", "td", "code")}  # fmt: skip
    assert HOSTILE in shown.text
    assert "<b>not_audio</b> & more" in shown.text
    assert "2 recordings, complete" in shown.text
    head = pipeline.s3.head_object(Bucket="transcripts", Key=key)
    assert head["ContentType"] == "text/html; charset=utf-8"


def test_what_has_no_transcript_is_named_whichever_run_it_failed_in(batch: Batch, pipeline: Pipeline):
    pipeline.upload(f"{PREFIX}text.mp3", error("not_audio"))
    pipeline.upload(f"{PREFIX}large.mp3", b"x" * (MIB + 1))
    pipeline.upload(f"{PREFIX}missing.mp3", b"no output")
    first = json.loads(pipeline.body(batch.run()["reports"]["json"]))

    assert first["sent_on"] == {"count": 2, "first": [{"key": f"{PREFIX}large.mp3"}, {"key": f"{PREFIX}missing.mp3"}]}

    again = batch.run()["reports"]
    second = json.loads(pipeline.body(again["json"]))
    told = {"key": f"{PREFIX}text.mp3", "code": "not_audio", "message": "<b>not_audio</b> & more"}
    assert (second["failures"]["count"], second["failed_before"]) == (0, {"count": 1, "first": [told]})
    shown = Elements(pipeline.body(again["html"])).text
    assert f"{PREFIX}text.mp3" in shown
    assert f"{PREFIX}large.mp3" in shown


def test_a_run_whose_transform_jobs_gave_nothing_is_not_called_complete(batch: Batch, pipeline: Pipeline):
    for name in ("a.mp3", "b.mp3"):
        pipeline.upload(f"{PREFIX}{name}", b"no output")

    summary = batch.run()

    assert (summary["state"], summary["counts"]["sent_on"]) == ("no_output", 2)
    assert "no job gave an output" in Elements(pipeline.body(summary["reports"]["html"])).text


def test_one_answer_shows_that_transform_jobs_work(batch: Batch, pipeline: Pipeline):
    pipeline.upload(f"{PREFIX}a.mp3", b"no output")
    pipeline.upload(f"{PREFIX}b.mp3")
    assert batch.run()["state"] == "complete"


def test_what_had_no_try_is_named(batch: Batch, pipeline: Pipeline):
    """As where no transform job began, or a shard's execution died before it noted anything down."""
    for name in ("a.mp3", "b.mp3"):
        pipeline.upload(f"{PREFIX}{name}")
    pipeline.upload(f"{PREFIX}empty.mp3", b"")
    execution = batch.start()
    batch.recover(execution)
    batch.page(execution)
    batch.share(execution)

    reports = batch.report(execution)["reports"]

    named = json.loads(pipeline.body(reports["json"]))["unfinished"]
    assert (named["count"], {each["key"] for each in named["first"]}) == (2, {f"{PREFIX}a.mp3", f"{PREFIX}b.mp3"})
    assert f"{PREFIX}b.mp3" in Elements(pipeline.body(reports["html"])).text


def test_a_batch_without_a_price_says_hours_only(batch: Batch, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(variables.INSTANCES, Instances("ml.p9.large", 1, None, "2026-11-22").to_json())
    pipeline.upload(f"{PREFIX}a.mp3")

    summary = run_two_shards(batch)

    assert summary["usd"] is None
    shown = Elements(pipeline.body(summary["reports"]["html"])).text
    assert "1.00 instance hours of ml.p9.large" in shown
    assert "USD" not in shown


def test_of_many_failures_the_first_are_listed_and_the_others_counted():
    failures = Listed()
    for number in range(1234):
        failures.add(key=f"batch/a/{number}", code="not_audio", message="m")

    assert (failures.count, len(failures.first)) == (1234, 1000)
    report = {
        "state": "incomplete",
        "prefix": "batch/a/",
        "started_at": "a",
        "ended_at": "b",
        "recordings": 1234,
        "counts": dict.fromkeys(
            ("succeeded", "partial", "sent_on", "moved_on", "rejected", "done", "failed_before", "in_flight", "unfinished"), 0
        )
        | {"failed": 1234},
        "audio_seconds": 0,
        "cost": {"instance_hours": 0},
        "failures": {"count": failures.count, "first": failures.first},
        **{name: {"count": 0, "first": []} for name in ("failed_before", "unfinished", "sent_on")},
        "warnings": {},
        "transform_jobs": [],
    }
    shown = Elements(page(report)).text
    assert "And 234 more." in shown
    assert "start it again" in shown


def test_a_report_lies_below_its_batchs_name_and_its_key_fits_however_long_that_is():
    assert keys.batch_report_key("batch/monday/", "0" * 16, "html") == f"batch-reports/monday/{'0' * 16}.html"
    assert len(keys.batch_report_key(f"incoming/{'é' * 500}/", "0" * 16, "json").encode()) <= 1024


def test_a_report_that_is_written_again_is_told_as_the_same_event(batch: Batch, pipeline: Pipeline, heard: str):
    pipeline.upload(f"{PREFIX}a.mp3")
    execution = batch.start()
    batch.recover(execution)
    batch.page(execution)
    (item,) = batch.items(batch.share(execution))
    batch.transform(item)
    batch.collect(execution, item)
    first = batch.report(execution)

    assert batch.report(execution) == first

    assert len({json.loads(message)["event_id"] for message in pipeline.received(heard)}) == 1
    batch.recover(batch.start())
    with pytest.raises(RunTakenOverError):
        batch.report(execution)
