"""What moto's CloudFormation leaves out of a template and the embedded AWS adds."""

import json

import pytest

TLS_ONLY = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
TEMPLATE = {
    "Resources": {
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "VersioningConfiguration": {"Status": "Enabled"},
                "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
            },
        },
        "BucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": {"Version": "2012-10-17", "Statement": [TLS_ONLY]}},
        },
        "Topic": {"Type": "AWS::SNS::Topic"},
        "TopicPolicy": {
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {"Topics": [{"Ref": "Topic"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": []}},
        },
        "Queue": {"Type": "AWS::SQS::Queue"},
        "QueuePolicy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": []}},
        },
        "Subscription": {
            "Type": "AWS::SNS::Subscription",
            "Properties": {
                "TopicArn": {"Ref": "Topic"},
                "Protocol": "sqs",
                "Endpoint": {"Fn::GetAtt": ["Queue", "Arn"]},
                "RawMessageDelivery": True,
            },
        },
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventPattern": {
                    "source": ["aws.s3"],
                    "detail-type": ["Object Created"],
                    "detail": {"bucket": {"name": [{"Ref": "Bucket"}]}, "object": {"key": [{"prefix": "incoming/"}]}},
                },
                "Targets": [{"Id": "queue", "Arn": {"Fn::GetAtt": ["Queue", "Arn"]}}],
            },
        },
    },
    "Outputs": {name: {"Value": {"Ref": name}} for name in ("Bucket", "Topic", "Queue")},
}


@pytest.fixture(scope="module")
def stack(aws):
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(StackName="pieces", TemplateBody=json.dumps(TEMPLATE))
    outputs = cloudformation.describe_stacks(StackName="pieces")["Stacks"][0]["Outputs"]
    return {output["OutputKey"]: output["OutputValue"] for output in outputs}


def bodies(aws, queue):
    messages = aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=5).get("Messages", [])
    for message in messages:
        aws.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return [message["Body"] for message in messages]


@pytest.mark.usefixtures("stack")
def test_every_resource_of_the_template_is_created(aws):
    summaries = aws.client("cloudformation").list_stack_resources(StackName="pieces")["StackResourceSummaries"]
    assert {summary["LogicalResourceId"] for summary in summaries} == set(TEMPLATE["Resources"])


def test_a_bucket_is_versioned_and_keeps_its_policy(aws, stack):
    s3 = aws.client("s3")
    assert s3.get_bucket_versioning(Bucket=stack["Bucket"])["Status"] == "Enabled"
    assert json.loads(s3.get_bucket_policy(Bucket=stack["Bucket"])["Policy"])["Statement"] == [TLS_ONLY]


def test_an_upload_reaches_the_queue_with_its_raw_key_and_version(aws, stack):
    key = 'incoming/a b+c%20d é".mp3'
    version = aws.client("s3").put_object(Bucket=stack["Bucket"], Key=key, Body=b"12345")["VersionId"]
    aws.client("s3").put_object(Bucket=stack["Bucket"], Key="elsewhere/a.mp3", Body=b"1")
    (body,) = bodies(aws, stack["Queue"])
    detail = json.loads(body)["detail"]
    assert detail["bucket"]["name"] == stack["Bucket"]
    assert (detail["object"]["key"], detail["object"]["version-id"], detail["object"]["size"]) == (key, version, 5)


def test_a_subscription_of_a_template_delivers_the_bare_message(aws, stack):
    aws.client("sns").publish(TopicArn=stack["Topic"], Message='{"plain": true}')
    assert bodies(aws, stack["Queue"]) == ['{"plain": true}']


def execute(aws, stack, template, kind):
    """Deploy as the CDK does; returns the stack."""
    cloudformation = aws.client("cloudformation")
    names = {"StackName": stack, "ChangeSetName": f"{stack}-{kind}"}
    cloudformation.create_change_set(**names, ChangeSetType=kind, TemplateBody=json.dumps(template))
    cloudformation.execute_change_set(**names)
    return cloudformation.describe_stacks(StackName=stack)["Stacks"][0]


def test_a_change_set_gives_outputs_and_exports_that_another_stack_imports(aws):
    topic = {"Topic": {"Type": "AWS::SNS::Topic"}}
    output = {"Name": {"Value": {"Ref": "Topic"}, "Export": {"Name": "exported-topic"}}}
    exporting = execute(aws, "exporting", {"Resources": topic, "Outputs": output}, "CREATE")
    (shown,) = exporting["Outputs"]
    assert exporting["StackStatus"] == "CREATE_COMPLETE"
    parameter = {"Type": "String", "Name": "imported", "Value": {"Fn::ImportValue": "exported-topic"}}
    execute(aws, "importing", {"Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": parameter}}}, "CREATE")
    assert aws.client("ssm").get_parameter(Name="imported")["Parameter"]["Value"] == shown["OutputValue"]
    more = {"More": {"Value": "added"}}
    updated = execute(aws, "exporting", {"Resources": topic, "Outputs": {**output, **more}}, "UPDATE")
    assert {entry["OutputKey"] for entry in updated["Outputs"]} == {"Name", "More"}


def test_a_change_set_that_fails_says_why_in_the_events(aws):
    model = {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": [{"VariantName": "x"}]}}
    stack = execute(aws, "failing", {"Resources": {"Config": model}}, "CREATE")
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    events = aws.client("cloudformation").describe_stack_events(StackName="failing")["StackEvents"]
    assert any(event["ResourceStatus"] == "ROLLBACK_COMPLETE" and event.get("ResourceStatusReason") for event in events)


def test_a_deleted_stack_takes_its_resources_along(aws):
    cloudformation = aws.client("cloudformation")
    kept = ("Topic", "Queue", "Subscription", "TopicPolicy", "QueuePolicy")
    template = {"Resources": {name: TEMPLATE["Resources"][name] for name in kept}}
    before = len(aws.client("sns").list_subscriptions()["Subscriptions"])
    cloudformation.create_stack(StackName="short-lived", TemplateBody=json.dumps(template))
    assert len(aws.client("sns").list_subscriptions()["Subscriptions"]) == before + 1
    cloudformation.delete_stack(StackName="short-lived")
    assert len(aws.client("sns").list_subscriptions()["Subscriptions"]) == before


def test_a_stack_that_is_deleted_leaves_nothing_and_can_still_be_described(aws):
    cloudformation = aws.client("cloudformation")
    created = cloudformation.create_stack(StackName="passing", TemplateBody=json.dumps(TEMPLATE))["StackId"]
    outputs = cloudformation.describe_stacks(StackName="passing")["Stacks"][0]["Outputs"]
    named = {output["OutputKey"]: output["OutputValue"] for output in outputs}
    cloudformation.delete_stack(StackName="passing")
    assert cloudformation.describe_stacks(StackName=created)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"
    assert not [bucket for bucket in aws.client("s3").list_buckets()["Buckets"] if bucket["Name"].startswith("passing")]
    assert not aws.client("sqs").list_queues(QueueNamePrefix="passing").get("QueueUrls")
    assert named["Topic"] not in {topic["TopicArn"] for topic in aws.client("sns").list_topics()["Topics"]}
