"""What moto's CloudFormation leaves out of a template and the embedded AWS adds."""

import json

import pytest

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
            "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": {"Version": "2012-10-17", "Statement": []}},
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
    assert json.loads(s3.get_bucket_policy(Bucket=stack["Bucket"])["Policy"])["Statement"] == []


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


def test_a_deleted_stack_takes_its_resources_along(aws):
    cloudformation = aws.client("cloudformation")
    kept = ("Topic", "Queue", "Subscription", "TopicPolicy", "QueuePolicy")
    template = {"Resources": {name: TEMPLATE["Resources"][name] for name in kept}}
    before = len(aws.client("sns").list_subscriptions()["Subscriptions"])
    cloudformation.create_stack(StackName="short-lived", TemplateBody=json.dumps(template))
    assert len(aws.client("sns").list_subscriptions()["Subscriptions"]) == before + 1
    cloudformation.delete_stack(StackName="short-lived")
    assert len(aws.client("sns").list_subscriptions()["Subscriptions"]) == before
