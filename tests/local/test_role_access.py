"""Whoever calls under a role is held to the role's policies, by action and resource."""

import json

import pytest
from botocore.exceptions import ClientError


@pytest.fixture(scope="module")
def bucket(aws):
    aws.client("s3").create_bucket(Bucket="role-access")
    aws.client("s3").put_bucket_versioning(Bucket="role-access", VersioningConfiguration={"Status": "Enabled"})
    return "role-access"


@pytest.fixture
def under(aws, request):
    """A client under a role of the test's own that has the given statements."""

    def client(service, *statements):
        name, iam = request.node.originalname.replace("_", "-")[:60], aws.client("iam")
        allowed = [{"Effect": "Allow", "Action": actions, "Resource": resources} for actions, resources in statements]
        iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
        iam.put_role_policy(
            RoleName=name, PolicyName="only", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allowed})
        )
        return aws.surroundings.client(service, name)

    return client


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def calls(aws, role):
    lines = [json.loads(line) for line in aws.surroundings.calls_file.read_text().splitlines()]
    return {(line["action"], line["resource"], line["allowed"]) for line in lines if line["role"] == role}


def test_a_call_without_a_grant_is_refused_and_recorded(aws, under, bucket):
    s3 = under("s3", ("s3:PutObject", f"arn:aws:s3:::{bucket}/allowed/*"))
    s3.put_object(Bucket=bucket, Key="allowed/día 1+%.txt", Body=b"x")
    assert refused(s3.put_object, Bucket=bucket, Key="other", Body=b"x") == "AccessDenied"
    assert refused(s3.get_object, Bucket=bucket, Key="allowed/día 1+%.txt") == "AccessDenied"
    arn = f"arn:aws:s3:::{bucket}"
    assert calls(aws, "test-a-call-without-a-grant-is-refused-and-recorded") == {
        ("s3:PutObject", f"{arn}/allowed/día 1+%.txt", True),
        ("s3:PutObject", f"{arn}/other", False),
        ("s3:GetObject", f"{arn}/allowed/día 1+%.txt", False),
    }


def test_a_version_needs_a_permission_of_its_own_and_so_does_what_a_copy_reads(aws, under, bucket):
    version = aws.client("s3").put_object(Bucket=bucket, Key="a&b=c?d", Body=b"x")["VersionId"]
    arn = f"arn:aws:s3:::{bucket}"
    s3 = under("s3", ("s3:GetObject", f"{arn}/*"), ("s3:PutObject", f"{arn}/copy"))
    source = {"Bucket": bucket, "Key": "a&b=c?d"}
    assert s3.head_object(**source)["VersionId"] == version
    assert refused(s3.head_object, **source, VersionId=version) == "403"
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert refused(s3.copy_object, Bucket=bucket, Key="copy", CopySource={**source, "VersionId": version}) == "AccessDenied"


def test_a_managed_policy_counts_once_it_is_attached(aws, bucket):
    statement = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam = aws.client("iam")
    policy = iam.create_policy(PolicyName="attached", PolicyDocument=document)["Policy"]["Arn"]
    iam.create_role(RoleName="of-a-user", AssumeRolePolicyDocument="{}")
    s3 = aws.surroundings.client("s3", "of-a-user")
    assert refused(s3.put_object, Bucket=bucket, Key="x", Body=b"") == "AccessDenied"
    iam.attach_role_policy(RoleName="of-a-user", PolicyArn=policy)
    s3.put_object(Bucket=bucket, Key="x", Body=b"")


def test_only_who_may_list_a_bucket_hears_that_an_object_is_missing(under, bucket):
    arn = f"arn:aws:s3:::{bucket}"
    s3 = under("s3", ("s3:GetObject", f"{arn}/*"))
    assert refused(s3.get_object, Bucket=bucket, Key="missing") == "AccessDenied"


def test_tables_topics_queues_and_endpoints_are_told_apart(aws, under):
    topics = [aws.client("sns").create_topic(Name=f"role-access-{n}")["TopicArn"] for n in (1, 2)]
    table = {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}], "BillingMode": "PAY_PER_REQUEST"}
    key = {"pk": {"S": "1"}}
    for name in ("role-access-1", "role-access-2"):
        aws.client("dynamodb").create_table(TableName=name, KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}], **table)
        aws.client("sqs").create_queue(QueueName=name)
    queues = [aws.client("sqs").get_queue_url(QueueName=f"role-access-{n}")["QueueUrl"] for n in (1, 2)]
    prefix = "123456789012"
    under(
        "sns",
        ("sns:Publish", topics[0]),
        (["sqs:SendMessage"], f"arn:aws:sqs:us-east-1:{prefix}:role-access-1"),
        (["dynamodb:GetItem"], [f"arn:aws:dynamodb:us-east-1:{prefix}:table/role-access-1"]),
        ("sagemaker:InvokeEndpoint*", f"arn:aws:sagemaker:us-east-1:{prefix}:endpoint/mine-?"),
    )
    role = "test-tables-topics-queues-and-endpoints-are-told-apart"
    sns, sqs, dynamodb, runtime = (
        aws.surroundings.client(service, role) for service in ("sns", "sqs", "dynamodb", "sagemaker-runtime")
    )
    sns.publish(TopicArn=topics[0], Message="x")
    sqs.send_message(QueueUrl=queues[0], MessageBody="x")
    dynamodb.get_item(TableName="role-access-1", Key=key)
    # It does not exist, which is told to those who may invoke it.
    invocation = {"InputLocation": "s3://bucket/key"}
    assert refused(runtime.invoke_endpoint_async, EndpointName="Mine-1", **invocation) == "ValidationError"
    assert refused(sns.publish, TopicArn=topics[1], Message="x") == "AccessDenied"
    assert refused(sqs.send_message, QueueUrl=queues[1], MessageBody="x") == "AccessDeniedException"
    assert refused(dynamodb.get_item, TableName="role-access-2", Key=key) == "AccessDeniedException"
    assert refused(dynamodb.put_item, TableName="role-access-1", Item=key) == "AccessDeniedException"
    assert refused(runtime.invoke_endpoint_async, EndpointName="other", **invocation) == "AccessDeniedException"


def test_a_function_calls_under_its_own_role(aws, zipped):
    iam, functions = aws.client("iam"), aws.client("lambda")
    role = iam.create_role(RoleName="of-a-function", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    source = "import os\ndef handle(event, context):\n    return os.environ['AWS_ACCESS_KEY_ID']\n"
    functions.create_function(
        FunctionName="role-access", Runtime="python3.13", Role=role, Handler="handler.handle", Code={"ZipFile": zipped(source)}
    )
    answer = json.loads(functions.invoke(FunctionName="role-access")["Payload"].read())
    assert answer == aws.surroundings.credentials_of(role)["AWS_ACCESS_KEY_ID"]
    client = aws.surroundings.client("s3", role)
    assert refused(client.list_buckets) == "AccessDenied"
