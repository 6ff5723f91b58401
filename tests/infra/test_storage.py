"""What must survive is private, encrypted, versioned and logged, and intermediate objects go away."""

import dataclasses
import json

import pytest

from infra.environments import environment_names, find_environment
from infra.retention import RetentionSettings
from tests.infra.synthesized import synthesize
from whisperstack_contract.job_times import JobTimes

BUCKETS = ["Audio", "Transcripts", "Models", "AccessLogs"]
ENTRUSTED = ["Audio", "Transcripts", "Models"]


def bucket(storage, name):
    return storage.resource("AWS::S3::Bucket", name)


def rules(storage, name):
    return {rule.get("Prefix"): rule for rule in bucket(storage, name)["LifecycleConfiguration"]["Rules"]}


@pytest.mark.parametrize("name", BUCKETS)
def test_buckets_block_public_access_and_access_lists(storage, name):
    properties = bucket(storage, name)
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


@pytest.mark.parametrize("name", BUCKETS)
def test_buckets_refuse_requests_without_tls(storage, name):
    statements = storage.resource("AWS::S3::BucketPolicy", name)["PolicyDocument"]["Statement"]
    denials = [statement for statement in statements if statement["Effect"] == "Deny"]
    assert [(denial["Action"], denial["Condition"]) for denial in denials] == [
        ("s3:*", {"Bool": {"aws:SecureTransport": "false"}})
    ]


@pytest.mark.parametrize("name", BUCKETS)
def test_buckets_keep_versions_and_drop_abandoned_uploads(storage, name):
    assert bucket(storage, name)["VersioningConfiguration"] == {"Status": "Enabled"}
    everywhere = [rule for rule in bucket(storage, name)["LifecycleConfiguration"]["Rules"] if "Prefix" not in rule]
    assert any(rule.get("AbortIncompleteMultipartUpload") == {"DaysAfterInitiation": 7} for rule in everywhere)


@pytest.mark.parametrize("name", ENTRUSTED)
def test_what_users_entrust_is_encrypted_with_our_key_and_its_accesses_are_logged(storage, name):
    (rule,) = bucket(storage, name)["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]["Fn::GetAtt"][0].startswith("DataKey")
    assert bucket(storage, name)["LoggingConfiguration"]["DestinationBucketName"]["Ref"].startswith("AccessLogs")
    assert bucket(storage, name)["LoggingConfiguration"]["LogFilePrefix"] == f"{name}/"


def test_access_logs_are_encrypted_with_a_key_that_log_delivery_can_use(storage):
    (rule,) = bucket(storage, "AccessLogs")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


@pytest.mark.parametrize(("name", "prefix"), [("Audio", "staged/"), ("Transcripts", "raw/"), ("Transcripts", "failures/")])
def test_intermediate_objects_expire_with_their_versions(storage, name, prefix):
    rule = rules(storage, name)[prefix]
    assert rule["ExpirationInDays"] == 15
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


def test_uploads_and_results_and_models_never_expire(storage):
    for name in ENTRUSTED:
        for prefix, rule in rules(storage, name).items():
            assert ("ExpirationInDays" in rule) == (prefix in {"staged/", "raw/", "failures/", "captured/"}), (name, prefix)


def test_only_the_audio_bucket_sends_events_and_without_a_custom_resource(storage):
    sending = {name: "NotificationConfiguration" in bucket(storage, name) for name in BUCKETS}
    assert sending == {"Audio": True, "Transcripts": False, "Models": False, "AccessLogs": False}
    assert bucket(storage, "Audio")["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}


def test_the_key_rotates(storage):
    assert storage.resource("AWS::KMS::Key")["EnableKeyRotation"] is True


def test_the_key_serves_the_account_and_six_services_the_latter_by_condition_where_they_set_one(storage):
    statements = storage.resource("AWS::KMS::Key")["KeyPolicy"]["Statement"]
    conditions = {statement.get("Sid", "account"): statement.get("Condition") for statement in statements}
    services = {"EventsToQueues", "TopicsToQueues", "AlarmsToTopics", "BudgetsToTopics", "FunctionLogs", "StateMachineLogs"}
    assert set(conditions) == {"account", *services}
    assert conditions["EventsToQueues"] is None, "EventBridge sets no source for KMS; a condition would drop every event"
    assert list(conditions["TopicsToQueues"]["ArnLike"]) == ["aws:SourceArn"]
    for name in ("AlarmsToTopics", "BudgetsToTopics"):
        assert conditions[name] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert list(conditions["FunctionLogs"]["ArnLike"]) == ["kms:EncryptionContext:aws:logs:arn"]
    assert list(conditions["StateMachineLogs"]["ArnLike"]) == ["kms:EncryptionContext:SourceArn"]


def test_the_job_table_is_encrypted_recoverable_and_paid_by_request(storage):
    table = storage.resource("AWS::DynamoDB::Table")
    assert table["SSESpecification"]["KMSMasterKeyId"]["Fn::GetAtt"][0].startswith("DataKey")
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_the_job_table_has_the_key_and_the_indexes_of_the_contract(storage):
    table = storage.resource("AWS::DynamoDB::Table")
    assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    indexes = {
        index["IndexName"]: [part["AttributeName"] for part in index["KeySchema"]] for index in table["GlobalSecondaryIndexes"]
    }
    assert indexes == {"active-by-deadline": ["active", "deadline"], "ended-by-time": ["ended", "ended_at"]}
    assert {"AttributeName": "deadline", "AttributeType": "N"} in table["AttributeDefinitions"]


def test_announcements_are_encrypted_and_refuse_to_be_published_without_tls(storage):
    assert storage.resource("AWS::SNS::Topic")["KmsMasterKeyId"]["Fn::GetAtt"][0].startswith("DataKey")
    (statement,) = storage.resource("AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


@pytest.mark.parametrize("environment", environment_names())
def test_data_survives_the_deletion_of_its_stack_only_where_the_environment_says_so(syntheses, environment):
    policy = "Retain" if find_environment(environment).retain_data else "Delete"
    resources = syntheses[environment].storage.body["Resources"].values()
    stateful = {"AWS::S3::Bucket", "AWS::KMS::Key", "AWS::DynamoDB::Table", "AWS::SNS::Topic"}
    held = [resource for resource in resources if resource["Type"] in stateful]
    assert len(held) == 7
    assert {(resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) for resource in held} == {(policy, policy)}
    table = syntheses[environment].storage.resource("AWS::DynamoDB::Table")
    assert table["DeletionProtectionEnabled"] is (policy == "Retain")


def test_nothing_else_is_left_behind_by_any_stack(everywhere):
    """What CloudFormation leaves would go on to cost money, and stand in the way of the next deployment where it has a name."""
    for environment, synthesis in everywhere.items():
        for name, template in synthesis.stacks.items():
            left = [
                logical_id
                for logical_id, resource in template.body["Resources"].items()
                if resource.get("DeletionPolicy", "Delete") != "Delete"
            ]
            assert len(left) == (7 if (environment, name) == ("prod", "Storage") else 0), (environment, name, left)


@pytest.mark.parametrize(("environment", "protected"), [("local", False), ("dev", False), ("staging", False), ("prod", True)])
def test_the_stack_that_keeps_data_cannot_be_deleted_by_mistake(syntheses, environment, protected):
    storage = syntheses[environment].storage
    artefact = json.loads((storage.path.parent / "manifest.json").read_text())["artifacts"][
        f"Whisperstack-{environment}-Storage"
    ]
    assert artefact["properties"].get("terminationProtection", False) is protected


@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_stacks_carry_the_tags_that_cloudformation_passes_on(syntheses, environment):
    for template in syntheses[environment].templates:
        stack = template.path.name.removesuffix(".template.json")
        tags = json.loads((template.path.parent / "manifest.json").read_text())["artifacts"][stack]["properties"]["tags"]
        assert tags == {"Project": "whisperstack", "Environment": environment}


def test_names_that_users_need_are_outputs(storage):
    names = {name for name in storage.body["Outputs"] if not name.startswith("Exports")}
    named = {"AudioBucketName", "TranscriptsBucketName", "ModelBucketName", "JobTableName", "AnnouncementsTopicArn"}
    assert names == {*named, "UploaderPolicyArn", "ReaderPolicyArn"}


def expiring(storage, name):
    return {prefix: rule["ExpirationInDays"] for prefix, rule in rules(storage, name).items() if "ExpirationInDays" in rule}


READ = {
    *("/transcripts/*", "/transcripts-by-hash/*", "/errors/*", "/errors-by-hash/*", "/versions/*"),
    *("/batch-transcripts/*", "/batch-errors/*", "/batch-reports/*"),
}


def test_recordings_and_results_expire_where_the_environment_says_so(tmp_path):
    retention = RetentionSettings(recordings_days=30, transcripts_days=400, intermediate_days=20, captured_days=5)
    synthesis = synthesize(dataclasses.replace(find_environment("dev"), retention=retention), tmp_path)
    storage = synthesis.storage
    assert expiring(storage, "Audio") == {"staged/": 20, "incoming/": 30, "batch/": 30}
    results = {prefix.removeprefix("/").removesuffix("*"): 400 for prefix in READ}
    assert expiring(storage, "Transcripts") == {"raw/": 20, "failures/": 20, "captured/": 5, **results}
    told = synthesis.asynchronous.resource("AWS::Lambda::Function", "IntakeSubmit")["Environment"]["Variables"]
    assert JobTimes.from_json(told["WHISPERSTACK_JOB_TIMES"]).kept == 403 * 24 * 3600, "rows outlive what they tell of"


def test_intermediate_objects_outlive_the_last_day_of_a_dead_letter(storage, asynchronous):
    kept = max(queue.get("MessageRetentionPeriod", 0) for queue in asynchronous.resources("AWS::SQS::Queue"))
    assert expiring(storage, "Audio")["staged/"] * 24 * 3600 > kept


def user_statements(storage, name):
    policy = storage.resource("AWS::IAM::ManagedPolicy", f"Users{name}")
    assert not {"Users", "Groups", "Roles", "ManagedPolicyName"} & set(policy)
    return {
        action: statement
        for statement in policy["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }


def test_the_uploaders_policy_uploads_below_incoming_and_batch_and_reads_nothing(storage):
    statements = user_statements(storage, "Uploader")
    multipart = {"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"}
    assert set(statements) == {"s3:PutObject", *multipart, "kms:GenerateDataKey", "kms:Decrypt"}
    assert [arn["Fn::Join"][1][1] for arn in statements["s3:PutObject"]["Resource"]] == ["/batch/*", "/incoming/*"]
    assert "kms:ViaService" in statements["kms:GenerateDataKey"]["Condition"]["StringEquals"]


def test_the_readers_policy_reads_results_and_not_recordings_or_raw_output(storage):
    statements = user_statements(storage, "Reader")
    assert set(statements) == {"s3:GetObject", "s3:ListBucket", "kms:Decrypt"}
    read = {resource["Fn::Join"][1][1] for resource in statements["s3:GetObject"]["Resource"]}
    assert read == READ
    assert {f"/{prefix}" for prefix in statements["s3:ListBucket"]["Condition"]["StringLike"]["s3:prefix"]} == read
