"""From an upload to the endpoint and from its notifications to a transcript: routes, queues, functions, permissions."""

import json

import pytest

from infra.environments import find_environment
from infra.retention import RetentionSettings
from reconcile_jobs.settings import Settings as ReconcileSettings
from record_result.settings import Settings as RecordSettings
from submit_transcription.settings import Settings as SubmitSettings
from whisperstack_contract.job_times import JobTimes
from whisperstack_contract.options import PartialOptions

FUNCTIONS = ["IntakeSubmit", "ResultsRecord"]
WORK_QUEUES = ["IntakeWorkQueue", "ResultsWorkQueue"]


def variables(template, function):
    return template.resource("AWS::Lambda::Function", function)["Environment"]["Variables"]


def below(arns):
    """The keys of object ARNs."""
    return [arn.split(">")[1] for arn in arns]


def test_only_uploads_below_incoming_become_jobs(asynchronous):
    rule = asynchronous.resource("AWS::Events::Rule", "IntakeUploads")
    pattern = rule["EventPattern"]
    assert (pattern["source"], pattern["detail-type"]) == (["aws.s3"], ["Object Created"])
    assert pattern["detail"]["object"]["key"] == [{"prefix": "incoming/"}]
    assert "AudioBucket" in json.dumps(pattern["detail"]["bucket"]["name"])


def test_events_that_cannot_be_delivered_are_kept(asynchronous):
    (target,) = asynchronous.resource("AWS::Events::Rule", "IntakeUploads")["Targets"]
    assert target["Arn"]["Fn::GetAtt"][0].startswith("IntakeWorkQueue")
    assert target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0].startswith("IntakeUndeliveredEvents")


def test_both_topics_reach_the_results_queue_unwrapped_and_undeliverable_notifications_are_kept(asynchronous):
    subscriptions = asynchronous.resources("AWS::SNS::Subscription")
    assert {subscription["TopicArn"]["Ref"][:9] for subscription in subscriptions} == {"EndpointS", "EndpointF"}
    for subscription in subscriptions:
        assert subscription["RawMessageDelivery"] is True
        assert subscription["Endpoint"]["Fn::GetAtt"][0].startswith("ResultsWorkQueue")
        dead_letters = subscription["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        assert dead_letters.startswith("ResultsUndeliveredNotifications")


@pytest.mark.parametrize("sender", ["events.amazonaws.com", "sns.amazonaws.com"])
def test_services_send_to_queues_only_from_this_account_or_a_named_source(asynchronous, sender):
    statements = [
        statement
        for policy in asynchronous.resources("AWS::SQS::QueuePolicy")
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Principal"] == {"Service": sender}
    ]
    assert statements
    for statement in statements:
        keys = {key for condition in statement["Condition"].values() for key in condition}
        assert keys <= {"aws:SourceAccount", "aws:SourceArn"}


def test_queues_and_topics_are_encrypted_and_refuse_requests_without_tls(asynchronous):
    for queue in asynchronous.resources("AWS::SQS::Queue"):
        assert "DataKey" in json.dumps(queue["KmsMasterKeyId"])
    for topic in asynchronous.resources("AWS::SNS::Topic"):
        assert "DataKey" in json.dumps(topic["KmsMasterKeyId"])
    for kind, policy_kind in [("AWS::SQS::Queue", "AWS::SQS::QueuePolicy"), ("AWS::SNS::Topic", "AWS::SNS::TopicPolicy")]:
        policies = asynchronous.resources(policy_kind)
        assert len(policies) == len(asynchronous.resources(kind))
        for policy in policies:
            denials = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
            assert [denial["Condition"] for denial in denials] == [{"Bool": {"aws:SecureTransport": "false"}}]


@pytest.mark.parametrize(("queue", "function"), [*zip(WORK_QUEUES, FUNCTIONS, strict=True)])
def test_a_message_stays_hidden_six_times_as_long_as_its_function_may_run(asynchronous, queue, function):
    hidden = asynchronous.resource("AWS::SQS::Queue", queue)["VisibilityTimeout"]
    assert hidden >= 6 * asynchronous.resource("AWS::Lambda::Function", function)["Timeout"]


@pytest.mark.parametrize("queue", WORK_QUEUES)
def test_messages_that_fail_again_and_again_are_kept_for_two_weeks(asynchronous, queue):
    redrive = asynchronous.resource("AWS::SQS::Queue", queue)["RedrivePolicy"]
    assert redrive["maxReceiveCount"] == 10
    dead_letters = asynchronous.body["Resources"][redrive["deadLetterTargetArn"]["Fn::GetAtt"][0]]
    assert dead_letters["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_only_the_messages_of_a_batch_that_failed_come_again(asynchronous):
    mappings = asynchronous.resources("AWS::Lambda::EventSourceMapping")
    assert len(mappings) == 2
    assert all(mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for mapping in mappings)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_log_into_their_own_encrypted_group_which_forgets(asynchronous, function):
    name = asynchronous.resource("AWS::Lambda::Function", function)["LoggingConfig"]["LogGroup"]["Ref"]
    group = asynchronous.body["Resources"][name]["Properties"]
    assert group["RetentionInDays"] == 30
    assert "DataKey" in json.dumps(group["KmsKeyId"])
    assert asynchronous.allowed(f"{function}Role", "logs:*") == [f"<{name}.Arn>"]


def test_no_role_has_a_managed_policy(syntheses):
    for synthesis in syntheses.values():
        for template in synthesis.templates:
            assert not [role for role in template.resources("AWS::IAM::Role") if "ManagedPolicyArns" in role]


def test_the_submit_function_gets_every_setting_that_it_reads(asynchronous):
    given = {name: value if isinstance(value, str) else "x" for name, value in variables(asynchronous, "IntakeSubmit").items()}
    settings = SubmitSettings.from_environment(given)
    assert settings.default_options == PartialOptions()
    assert settings.model_digest == "0" * 64


def test_the_record_function_gets_every_setting_that_it_reads(asynchronous):
    given = variables(asynchronous, "ResultsRecord")
    settings = RecordSettings.from_environment(
        {name: value if isinstance(value, str) else "x" for name, value in given.items()}
    )
    assert (settings.instances.instance_type, settings.instances.usd_per_hour) == ("ml.g4dn.xlarge", 0.736)


def test_all_functions_agree_on_times_and_slots(asynchronous):
    functions = [*FUNCTIONS, "ReconciliationReconcile"]
    for name in ("WHISPERSTACK_JOB_TIMES", "WHISPERSTACK_ENDPOINT_SLOTS"):
        assert len({variables(asynchronous, function)[name] for function in functions}) == 1


@pytest.mark.parametrize(
    ("recordings", "transcripts", "days"), [(None, None, None), (30, None, None), (None, 30, None), (30, 400, 403), (90, 7, 93)]
)
def test_rows_are_kept_as_long_as_the_longer_lived_of_recording_and_transcript(recordings, transcripts, days):
    kept = RetentionSettings(recordings_days=recordings, transcripts_days=transcripts).row_seconds
    assert kept == (None if days is None else days * 24 * 3600)
    settings = find_environment("dev").asynchronous.keeping_rows(kept)
    assert JobTimes.from_json(settings.job_variables["WHISPERSTACK_JOB_TIMES"]).kept == kept


def test_whoever_ends_a_job_is_done_with_announcing_it_before_another_may(asynchronous):
    announcing = JobTimes.from_json(variables(asynchronous, "IntakeSubmit")["WHISPERSTACK_JOB_TIMES"]).announcing
    for function in (*FUNCTIONS, "ReconciliationReconcile"):
        assert asynchronous.resource("AWS::Lambda::Function", function)["Timeout"] < announcing


def test_the_reconcile_function_gets_every_setting_that_it_reads_and_runs_every_five_minutes(asynchronous):
    given = variables(asynchronous, "ReconciliationReconcile")
    ReconcileSettings.from_environment({name: value if isinstance(value, str) else "x" for name, value in given.items()})
    assert asynchronous.resource("AWS::Events::Rule", "ReconciliationSchedule")["ScheduleExpression"] == "rate(5 minutes)"


def test_the_reconcile_function_finds_and_sends_and_changes_no_transcript(asynchronous):
    role = "ReconciliationReconcileRole"
    errors = ["/batch-errors/*", "/errors-by-hash/*", "/errors/*", "/versions/*.error.json"]
    assert sorted(below(asynchronous.allowed(role, "s3:PutObject"))) == errors
    assert sorted(below(asynchronous.allowed(role, "s3:DeleteObject"))) == errors
    (index,) = asynchronous.allowed(role, "dynamodb:Query")
    assert index.endswith("/index/active-by-deadline")
    assert asynchronous.allowed(role, "dynamodb:Scan") == []
    assert len(asynchronous.allowed(role, "sqs:SendMessage")) == 2
    assert asynchronous.allowed(role, "sagemaker:*") == []


def test_deletions_of_uploads_reach_the_results_queue(asynchronous):
    rule = asynchronous.resource("AWS::Events::Rule", "ResultsDeletions")
    assert rule["EventPattern"]["detail-type"] == ["Object Deleted"]
    assert rule["EventPattern"]["detail"]["object"]["key"] == [{"prefix": "incoming/"}, {"prefix": "batch/"}]
    (target,) = rule["Targets"]
    assert target["Arn"]["Fn::GetAtt"][0].startswith("ResultsWorkQueue")
    assert target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0].startswith("ResultsUndeliveredNotifications")


def test_the_submit_function_reads_uploads_and_writes_staged_copies_and_errors_only(asynchronous):
    role = "IntakeSubmitRole"
    errors = ["/batch-errors/*", "/errors-by-hash/*", "/errors/*", "/versions/*.error.json"]
    assert sorted(below(asynchronous.allowed(role, "s3:GetObject"))) == sorted(["/batch/*", "/incoming/*", *errors])
    assert below(asynchronous.allowed(role, "s3:GetObjectVersion")) == ["/batch/*", "/incoming/*"]
    assert sorted(below(asynchronous.allowed(role, "s3:PutObject"))) == sorted([*errors, "/staged/*"])
    assert sorted(below(asynchronous.allowed(role, "s3:DeleteObject"))) == errors


def test_the_record_function_reads_what_it_needs_and_writes_results_only(asynchronous):
    role = "ResultsRecordRole"
    removable = ["/batch-errors/*", "/errors-by-hash/*", "/errors/*", "/versions/*.error.json"]
    results = [*removable, "/batch-transcripts/*", "/transcripts-by-hash/*", "/transcripts/*", "/versions/*"]
    assert sorted(below(asynchronous.allowed(role, "s3:PutObject"))) == sorted(results)
    assert sorted(below(asynchronous.allowed(role, "s3:GetObject"))) == sorted(
        ["/batch/*", "/incoming/*", "/raw/*", "/failures/*", *results]
    )
    assert sorted(below(asynchronous.allowed(role, "s3:DeleteObject"))) == sorted(results)


@pytest.mark.parametrize(
    ("function", "buckets"), [("IntakeSubmit", ["Audio", "Transcripts"]), ("ResultsRecord", ["Audio", "Transcripts"])]
)
def test_a_missing_object_is_told_from_a_forbidden_one(asynchronous, function, buckets):
    listed = asynchronous.allowed(f"{function}Role", "s3:ListBucket")
    assert [next(name for name in ("Audio", "Transcripts", "Models") if name in arn) for arn in listed] == buckets


@pytest.mark.parametrize(
    ("function", "actions"),
    [
        ("IntakeSubmit", {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}),
        ("ResultsRecord", {"dynamodb:GetItem", "dynamodb:UpdateItem"}),
    ],
)
def test_functions_touch_single_rows_of_the_job_table_and_never_scan_it(asynchronous, function, actions):
    allowed = {
        a for s in asynchronous.statements(f"{function}Role") for a in [s["Action"]] for a in ([a] if isinstance(a, str) else a)
    }
    assert {action for action in allowed if action.startswith("dynamodb:")} == actions


def test_only_the_submit_function_invokes_and_only_this_endpoint(asynchronous):
    (endpoint,) = asynchronous.allowed("IntakeSubmitRole", "sagemaker:*")
    assert endpoint.endswith(":endpoint/<Endpoint8024A810.EndpointName>")
    assert asynchronous.allowed("ResultsRecordRole", "sagemaker:*") == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_publish_announcements_only(asynchronous, function):
    (topic,) = asynchronous.allowed(f"{function}Role", "sns:*")
    assert "AnnouncementsTopic" in topic
