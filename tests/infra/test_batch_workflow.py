"""What begins a batch, what the workflow may do, and what its settings may be."""

import dataclasses
import json

import pytest

from infra.environments import environment_names, find_environment
from infra.errors import ConfigurationError
from infra.inference_options import BatchSchedule
from tests.infra.synthesized import synthesize


def test_only_a_marker_in_a_folder_below_batch_begins_one(dev):
    (rule,) = dev.batch.resources("AWS::Events::Rule")
    assert rule["EventPattern"]["detail"]["object"] == {"key": [{"wildcard": "batch/*/_START"}]}
    assert "ScheduleExpression" not in rule
    (target,) = rule["Targets"]
    assert not {"Input", "InputTransformer", "InputPath"} & target.keys()
    assert set(target["DeadLetterConfig"]) == {"Arn"}


def test_a_schedule_begins_one_where_it_is_set(tmp_path):
    dev = find_environment("dev")
    schedule = BatchSchedule("cron(0 2 * * ? *)", "incoming/")
    batch = dataclasses.replace(dev.batch, schedule=schedule)
    template = synthesize(dataclasses.replace(dev, batch=batch), tmp_path).batch
    (rule,) = [rule for rule in template.resources("AWS::Events::Rule") if "ScheduleExpression" in rule]
    assert rule["ScheduleExpression"] == schedule.expression
    assert json.loads(rule["Targets"][0]["Input"]) == {"prefix": "incoming/"}
    assert "DeadLetterConfig" in rule["Targets"][0]


@pytest.mark.parametrize(
    ("expression", "prefix"),
    [
        *((expression, "batch/a/") for expression in ("", "0 2 * * *", "rate(1 days)", "rate(2 day)", "rate(0 minutes)")),
        *((expression, "batch/a/") for expression in ("cron(0 2 * * *)", "cron(0 2 * * * *)", "cron(0 2 ? * ? *)")),
        *(("rate(1 day)", prefix) for prefix in ("incoming", "elsewhere/", "batch/", "batch//")),
    ],
)
def test_a_schedule_that_cannot_work_is_refused(expression, prefix):
    with pytest.raises(ConfigurationError, match=r"write one such as|it must begin with"):
        BatchSchedule(expression, prefix)


@pytest.mark.parametrize("expression", ["rate(1 day)", "rate(12 hours)", "cron(0 2 * * ? *)", "cron(0/15 8 ? * MON-FRI *)"])
def test_a_schedule_that_eventbridge_takes_is_taken(expression):
    assert BatchSchedule(expression, "batch/calls/").expression == expression


def test_a_schedule_that_is_only_an_expression_is_refused():
    with pytest.raises(ConfigurationError, match="it must be an object of the class BatchSchedule or None"):
        dataclasses.replace(find_environment("dev").batch, schedule="rate(1 day)")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"concurrency": 2}, "payload_mib 100 times concurrency 2 is 200"),
        ({"concurrency": 2, "payload_mib": 50}, "concurrency is 2 and workers 1"),
        ({"concurrency": 101}, "concurrency is 101; it must be 1 to 100"),
        ({"concurrency": 0}, "concurrency is 0"),
        ({"payload_mib": 101}, "payload_mib is 101"),
        ({"shard_mib": 0}, "shard_mib is 0"),
        ({"jobs_at_a_time": 0}, "jobs_at_a_time is 0"),
        ({"job_hours": 200}, "job_hours is 200"),
        ({"poll_seconds": 0}, "poll_seconds is 0"),
    ],
)
def test_settings_that_sagemaker_would_refuse_are_refused_at_synthesis(change, told):
    with pytest.raises(ConfigurationError, match=told):
        dataclasses.replace(find_environment("dev").batch, **change)


def test_requests_at_a_time_that_follow_from_the_workers_are_lowered_to_what_sagemaker_takes_beside_the_largest_recording():
    implied = dataclasses.replace(find_environment("dev").batch, workers=4)
    assert [implied.limits.concurrency_for(payload) for payload in (1, 25, 40, 100)] == [4, 4, 2, 1]


def test_requests_at_a_time_that_are_written_out_must_hold_for_the_largest_recording():
    batch = dataclasses.replace(find_environment("dev").batch, workers=4, payload_mib=25)
    assert dataclasses.replace(batch, concurrency=4).limits == batch.limits
    with pytest.raises(
        ConfigurationError,
        match=r"payload_mib 26 times concurrency 4 is 104; SageMaker allows 100; .* concurrency to 3, or leave it out",
    ):
        dataclasses.replace(batch, concurrency=4, payload_mib=26)


def test_its_role_touches_its_own_jobs_functions_and_children_and_no_other(syntheses):
    for name in environment_names():
        batch = syntheses[name].batch
        jobs = batch.allowed("WorkflowRole", "sagemaker:*")
        assert {arn.rpartition(":")[2] for arn in jobs} == {f"transform-job/whisper-{name}-*"}
        assert len(batch.allowed("WorkflowRole", "lambda:InvokeFunction")) == 2
        assert all(arn.endswith("/staged/batch/*/shards.json") for arn in batch.allowed("WorkflowRole", "s3:*"))
        assert len(batch.allowed("WorkflowChildren", "states:StartExecution")) == 1
        assert all(arn.endswith("/*") for arn in batch.allowed("WorkflowChildren", "states:StopExecution"))
        assert batch.allowed("Workflow", "iam:*") == []


def test_without_an_asynchronous_pipeline_nothing_is_sent_on(tmp_path):
    dev = dataclasses.replace(find_environment("dev"), asynchronous=None)
    batch = synthesize(dev, tmp_path).batch
    (plan,) = [f for f in batch.resources("AWS::Lambda::Function") if f["Handler"].startswith("plan_batch")]
    (collect,) = [f for f in batch.resources("AWS::Lambda::Function") if f["Handler"].startswith("collect_batch")]
    assert plan["Environment"]["Variables"]["WHISPERSTACK_LEFTOVERS"] == "false"
    assert "WHISPERSTACK_INTAKE_QUEUE" not in collect["Environment"]["Variables"]
    assert batch.allowed("Functions", "sqs:SendMessage") == []
