"""The simulation's numbers are those of the templates."""

import json
from pathlib import Path

from simulation import world

_SNAPSHOT = Path(__file__).parents[1] / "infra" / "snapshots" / "asynchronous.json"


def _resources(kind: str) -> dict[str, dict]:
    template = json.loads(_SNAPSHOT.read_text())
    return {name: each["Properties"] for name, each in template["Resources"].items() if each["Type"] == kind}


def _only(resources: dict[str, dict], beginning: str) -> dict:
    (found,) = [properties for name, properties in resources.items() if name.startswith(beginning)]
    return found


def test_functions_have_the_deployed_time():
    functions = _resources("AWS::Lambda::Function")
    found = [_only(functions, name)["Timeout"] for name in ("IntakeSubmit", "ResultsRecord", "ReconciliationReconcile")]
    assert found == [world.SUBMIT_TIMEOUT, world.RECORD_TIMEOUT, world.RECONCILE_TIMEOUT]


def test_queues_hide_and_give_up_messages_as_deployed():
    queues = _resources("AWS::SQS::Queue")
    for name, timeout in (("IntakeWorkQueue", world.SUBMIT_TIMEOUT), ("ResultsWorkQueue", world.RECORD_TIMEOUT)):
        queue = _only(queues, name)
        assert queue["VisibilityTimeout"] == timeout * world.VISIBILITY_PER_TIMEOUT
        assert queue["RedrivePolicy"]["maxReceiveCount"] == world.DELIVERIES


def test_deliveries_are_as_many_at_a_time_as_deployed():
    mappings = _resources("AWS::Lambda::EventSourceMapping")
    for name, batch in (("IntakeWork", world.SUBMIT_BATCH), ("ResultsWork", world.RECORD_BATCH)):
        mapping = _only(mappings, name)
        assert mapping["BatchSize"] == batch
        assert mapping["ScalingConfig"]["MaximumConcurrency"] == world.CONCURRENCY


def test_the_reconciler_runs_as_often_as_deployed():
    schedule = _only(_resources("AWS::Events::Rule"), "ReconciliationSchedule")["ScheduleExpression"]
    assert schedule == f"rate({world.RECONCILE_EVERY // 60} minutes)"
