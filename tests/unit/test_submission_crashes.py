"""The submitting function dies between any two of its calls, and its message is delivered again."""

from collections.abc import Callable

import pytest

from tests.unit.pipeline import Pipeline, object_created
from tests.unit.wire import Crash, Wire
from whisperstack_contract.jobs import inference_id, job_id


def _calls_until_done(pipeline: Pipeline, submit, wire: Wire, size: int) -> int:
    submit(object_created(pipeline.upload("incoming/a.mp3"), size))
    return len(wire.calls)


def test_an_upload_is_submitted_wherever_the_function_dies(new_pipeline: Callable[[], Pipeline], submit, wire: Wire):
    for number in range(_calls_until_done(new_pipeline(), submit, wire, size=5)):
        pipeline = new_pipeline()
        source = pipeline.upload("incoming/a.mp3")
        wire.calls.clear()
        wire.crash_before_call(number)
        with pytest.raises(Crash):
            submit(object_created(source))

        assert submit(object_created(source)) == [True], number

        row = pipeline.row(source)
        assert (row["state"], row["attempt"]) == ("submitted", "1")
        assert "invoked_at" in row
        sent = [parameters for name, parameters in wire.calls if name == "InvokeEndpointAsync"]
        assert {request["InferenceId"] for request in sent} == {inference_id(job_id(source), 1)}
        # Only a crash after the endpoint took the request, and before the row says so, sends it twice.
        assert len(sent) == (2 if number == wire.operations.index("InvokeEndpointAsync") + 1 else 1)
        assert pipeline.active_jobs() == [job_id(source)]


def test_a_rejection_is_announced_wherever_the_function_dies(new_pipeline: Callable[[], Pipeline], submit, wire: Wire):
    for number in range(_calls_until_done(new_pipeline(), submit, wire, size=0)):
        pipeline = new_pipeline()
        source = pipeline.upload("incoming/a.mp3", b"")
        wire.calls.clear()
        wire.crash_before_call(number)
        with pytest.raises(Crash):
            submit(object_created(source, size=0))
        if "ended_at" in pipeline.row_if_there(source):
            pipeline.make_due(source)

        assert submit(object_created(source, size=0)) == [True], number

        row = pipeline.row(source)
        assert row["state"] == "rejected"
        announced = [announcement for announcement, _ in pipeline.announcements()]
        assert {announcement.event_id for announcement in announced} == {f"{job_id(source)}:rejected"}
        # Only a crash between telling and noting it tells twice.
        assert len(announced) == (2 if number == wire.operations.index("Publish") + 1 else 1)
        assert all("empty_file" in pipeline.body(announcement.outputs["error"]) for announcement in announced)
        assert pipeline.active_jobs() == []
