import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings
from moto import mock_aws

from collect_batch import handler as collect_batch
from plan_batch import handler as plan_batch
from reconcile_jobs import handler as reconcile_jobs
from record_result import handler as record_result
from submit_transcription import handler as submit_transcription
from tests.unit.batch import Batch
from tests.unit.pipeline import CONTEXT, REGION, Pipeline, object_created, sqs_event
from tests.unit.wire import Wire
from whisperstack_contract.jobs import SourceVersion

# How long an example takes says more of the machine than of the code.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


@pytest.fixture
def new_pipeline(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Pipeline]]:
    """Makes an empty AWS, and functions that know it and nothing of the one before."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    mocks = []

    def start() -> Pipeline:
        stop()
        # A new session for every mock would read every service model again: most of the time a test takes.
        mock = mock_aws(config={"core": {"reset_boto3_session": False}})
        mock.start()
        mocks.append(mock)
        pipeline = Pipeline()
        for name, value in pipeline.environment.items():
            monkeypatch.setenv(name, value)
        return pipeline

    def stop() -> None:
        submit_transcription.submission.cache_clear()
        record_result.room.cache_clear()
        reconcile_jobs.reconciliation.cache_clear()
        plan_batch.room.cache_clear()
        collect_batch.room.cache_clear()
        while mocks:
            mocks.pop().stop()

    yield start
    stop()


@pytest.fixture
def pipeline(new_pipeline: Callable[[], Pipeline]) -> Pipeline:
    return new_pipeline()


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire(monkeypatch)


@pytest.fixture
def submit(wire: Wire) -> Callable[..., list[bool]]:
    """Delivers events to the submitting function; for each, whether it was done."""
    return lambda *bodies: _deliver(submit_transcription.lambda_handler, wire, bodies)


@pytest.fixture
def submitted(pipeline: Pipeline, submit: Callable[..., list[bool]]) -> Callable[..., SourceVersion]:
    """Uploads a recording and submits it."""

    def upload(key: str = "incoming/talk.mp3") -> SourceVersion:
        source = pipeline.upload(key)
        assert submit(object_created(source)) == [True]
        return source

    return upload


@pytest.fixture
def record(wire: Wire) -> Callable[..., list[bool]]:
    """Delivers notifications to the recording function; for each, whether it was done."""
    return lambda *bodies: _deliver(record_result.lambda_handler, wire, bodies)


@pytest.fixture
def batch(pipeline: Pipeline, wire: Wire) -> Batch:
    return Batch(pipeline, wire)


@pytest.fixture
def reconcile(pipeline: Pipeline, submit: Callable[..., list[bool]], record: Callable[..., list[bool]]) -> Callable[[], dict]:
    """Runs the reconciler, and then the other functions on what it sent them; what it found, by metric."""

    def run() -> dict[str, int]:
        found = reconcile_jobs.lambda_handler({}, CONTEXT)
        for queue, deliver in ((pipeline.intake, submit), (pipeline.results, record)):
            for body in pipeline.received(queue):
                assert deliver(body) == [True], body
        return found

    return run


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the functions write to their logs."""
    stream = io.StringIO()
    for handler in (submit_transcription, record_result, reconcile_jobs, plan_batch, collect_batch):
        monkeypatch.setattr(handler.logger.registered_handler, "stream", stream)
    return stream


def _deliver(handler: Callable[..., Any], wire: Wire, bodies: tuple[Any, ...]) -> list[bool]:
    event = sqs_event(*bodies)
    with wire.listening():
        response = handler(event, CONTEXT)
    failed = {item["itemIdentifier"] for item in response["batchItemFailures"]}
    return [record["messageId"] not in failed for record in event["Records"]]
