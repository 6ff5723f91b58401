"""Endpoints serve the deployed archive; requests come by the runtime API, at once or through the queue."""

import io
import json
import os
import signal
import tarfile
import uuid
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import psutil
import pytest
from botocore.exceptions import ClientError

HANDLER = """
import json, os, time

def model_fn(model_dir, context=None):
    return open(os.path.join(model_dir, "weights.txt")).read()

def transform_fn(model, body, content_type, accept, context=None):
    if bytes(body) == b"refuse":
        context.set_response_status(422, "no", 0)
        return json.dumps({"error": {"code": "refused", "message": "no", "retryable": False}})
    if bytes(body) == b"raise":
        raise RuntimeError("secret detail")
    if bytes(body) == b"wait":
        open(os.environ["HOME"] + "/waiting", "w").close()
        while not os.path.exists(os.environ["HOME"] + "/go"):
            time.sleep(0.01)
    if bytes(body) == b"die":
        os._exit(9)
    attributes = context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes")
    return json.dumps({"model": model, "bytes": len(body), "attributes": attributes, "type": content_type,
                       "pid": os.getpid(), "environment": dict(os.environ)})
"""


def archive(**files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_py", ".py").replace("_txt", ".txt"))
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Endpoint:
    """A deployed endpoint with a bucket of its own and queues on its two topics."""

    def __init__(self, aws, eventually, model, *, is_async, status="InService", unpacked=None, settings=None):
        self.aws, self.name, self._eventually = aws, f"endpoint-{uuid.uuid4().hex[:8]}", eventually
        self.bucket = f"bucket-{self.name}"
        aws.client("s3").create_bucket(Bucket=self.bucket)
        if model is not None:
            aws.client("s3").put_object(Bucket=self.bucket, Key="model.tar.gz", Body=model)
        for name, content in (unpacked or {}).items():
            aws.client("s3").put_object(Bucket=self.bucket, Key=f"unpacked/{name}", Body=content)
        data = {"ModelDataUrl": f"s3://{self.bucket}/model.tar.gz"}
        if unpacked is not None:
            prefix = {"S3Uri": f"s3://{self.bucket}/unpacked/", "S3DataType": "S3Prefix", "CompressionType": "None"}
            data = {"ModelDataSource": {"S3DataSource": prefix}}
        sagemaker = aws.client("sagemaker")
        sagemaker.create_model(
            ModelName=self.name,
            ExecutionRoleArn="arn:aws:iam::123456789012:role/everything",
            PrimaryContainer={
                "Image": "image",
                **data,
                "Environment": {"SETTING": "value", **(settings or {})},
            },
        )
        config = {
            "OutputConfig": {
                "S3OutputPath": f"s3://{self.bucket}/raw/",
                "S3FailurePath": f"s3://{self.bucket}/failures/",
                "NotificationConfig": {"SuccessTopic": self._topic("success"), "ErrorTopic": self._topic("error")},
            }
        }
        variant = {
            "ModelName": self.name,
            "VariantName": "AllTraffic",
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.xlarge",
        }
        sagemaker.create_endpoint_config(
            EndpointConfigName=self.name,
            ProductionVariants=[variant],
            **({"AsyncInferenceConfig": config} if is_async else {}),
        )
        sagemaker.create_endpoint(EndpointName=self.name, EndpointConfigName=self.name)
        eventually(lambda: self.describe()["EndpointStatus"] == status)

    def _topic(self, kind):
        topic = self.aws.client("sns").create_topic(Name=f"{self.name}-{kind}")["TopicArn"]
        queue = self.aws.client("sqs").create_queue(QueueName=f"{self.name}-{kind}")["QueueUrl"]
        names = ["QueueArn"]
        arn = self.aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]["QueueArn"]
        raw = {"RawMessageDelivery": "true"}
        self.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)
        return topic

    def describe(self):
        return self.aws.client("sagemaker").describe_endpoint(EndpointName=self.name)

    def invoke(self, body):
        runtime = self.aws.client("sagemaker-runtime")
        response = runtime.invoke_endpoint(
            EndpointName=self.name, Body=body, ContentType="audio/mpeg", CustomAttributes='{"language":"en"}'
        )
        return json.loads(response["Body"].read())

    def invoke_async(self, body, **options):
        self.aws.client("s3").put_object(Bucket=self.bucket, Key="input", Body=body)
        location = f"s3://{self.bucket}/input"
        runtime = self.aws.client("sagemaker-runtime")
        return runtime.invoke_endpoint_async(EndpointName=self.name, InputLocation=location, InferenceId="job-1", **options)

    def notification(self, kind):
        url = self.aws.client("sqs").get_queue_url(QueueName=f"{self.name}-{kind}")["QueueUrl"]
        receive = self.aws.client("sqs").receive_message
        (message,) = self._eventually(lambda: receive(QueueUrl=url, WaitTimeSeconds=2).get("Messages"))
        return json.loads(message["Body"])

    def stored(self, location):
        bucket, key = location.removeprefix("s3://").split("/", 1)
        return self.aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()


@pytest.fixture(scope="module")
def model():
    return archive(code__inference_py=HANDLER, weights_txt="the weights")


@pytest.fixture(scope="module")
def real_time(aws, eventually, model):
    return Endpoint(aws, eventually, model, is_async=False)


@pytest.fixture(scope="module")
def asynchronous(aws, eventually, model):
    return Endpoint(aws, eventually, model, is_async=True)


def test_a_request_is_answered_by_the_handler_in_the_archive(real_time):
    answer = real_time.invoke(b"sound")
    assert answer["model"] == "the weights"
    assert (answer["bytes"], answer["type"], answer["attributes"]) == (5, "audio/mpeg", '{"language":"en"}')


def test_the_container_has_its_own_variables_and_no_credentials(real_time):
    environment = real_time.invoke(b"sound")["environment"]
    assert environment["SETTING"] == "value"
    assert not [name for name in environment if name.startswith("AWS_")]


@pytest.mark.parametrize(
    # Of what a handler raises, Multi Model Server makes a 400 with its text.
    ("body", "status", "shown"),
    [(b"refuse", 422, "refused"), (b"raise", 400, "secret detail")],
)
def test_an_error_of_the_handler_is_a_model_error_with_its_status(real_time, body, status, shown):
    with pytest.raises(ClientError) as raised:
        real_time.invoke(body)
    assert raised.value.response["Error"]["Code"] == "ModelError"
    assert raised.value.response["OriginalStatusCode"] == status
    assert shown in raised.value.response["OriginalMessage"]
    assert "Traceback" not in raised.value.response["OriginalMessage"]


@pytest.fixture(scope="module")
def roomy(aws, eventually, model):
    """One request may wait, and a body may be as large as SageMaker allows."""
    settings = {"MMS_JOB_QUEUE_SIZE": "1", "MMS_MAX_REQUEST_SIZE": str(1024**3)}
    return Endpoint(aws, eventually, model, is_async=False, settings=settings)


def test_a_body_above_the_limit_is_refused_before_the_container_sees_it(roomy):
    with pytest.raises(ClientError) as raised:
        roomy.invoke(b"x" * (25 * 1024**2 + 1))
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert "the limit is 26214400; use asynchronous inference" in raised.value.response["Error"]["Message"]
    # Bytes that are no text pass as they are.
    assert roomy.invoke(b"\xff" * 25 * 1024**2)["bytes"] == 25 * 1024**2


def test_what_finds_the_queue_full_is_answered_with_503_at_once(roomy, eventually):
    home = Path(roomy.invoke(b"sound")["environment"]["HOME"])
    with ThreadPoolExecutor() as pool:
        running = pool.submit(roomy.invoke, b"wait")
        eventually((home / "waiting").exists)
        # One more may wait; of two, whichever comes second is refused.
        others = [pool.submit(roomy.invoke, b"sound") for _ in range(2)]
        (refused,) = wait(others, return_when=FIRST_COMPLETED, timeout=30).done
        assert refused.exception().response["OriginalStatusCode"] == 503
        (home / "go").touch()
        assert running.result()["bytes"] == 4
        assert [future.exception() is None for future in others].count(True) == 1


def test_a_killed_container_is_started_again(real_time, eventually):
    pid = real_time.invoke(b"sound")["pid"]
    os.kill(pid, signal.SIGKILL)

    def another_answers():
        try:
            return real_time.invoke(b"sound")["pid"] != pid
        except ClientError:
            return False

    eventually(another_answers)


def test_an_asynchronous_answer_lies_where_the_request_said_and_is_announced(asynchronous):
    response = asynchronous.invoke_async(b"sound", S3OutputPathExtension="job-1/1", Filename="transcript.json")
    assert response["OutputLocation"] == f"s3://{asynchronous.bucket}/raw/job-1/1/transcript.json"
    message = asynchronous.notification("success")
    assert (message["invocationStatus"], message["inferenceId"]) == ("Completed", "job-1")
    assert message["responseParameters"]["outputLocation"] == response["OutputLocation"]
    assert json.loads(asynchronous.stored(response["OutputLocation"]))["bytes"] == 5


def test_an_asynchronous_error_is_stored_and_announced(asynchronous):
    response = asynchronous.invoke_async(b"refuse")
    message = asynchronous.notification("error")
    assert (message["invocationStatus"], message["inferenceId"]) == ("Failed", "job-1")
    assert message["failureReason"].startswith("ClientError: Received client error (422) from model.")
    assert json.loads(asynchronous.stored(response["FailureLocation"]))["error"]["code"] == "refused"


def test_a_container_that_dies_over_a_request_fails_that_request(asynchronous):
    asynchronous.invoke_async(b"die")
    assert asynchronous.notification("error")["failureReason"].startswith("InternalServerError")


def test_an_archive_that_is_not_there_makes_the_endpoint_fail_with_the_reason(aws, eventually):
    endpoint = Endpoint(aws, eventually, None, is_async=False, status="Failed")
    assert "specified key does not exist" in endpoint.describe()["FailureReason"]


def test_an_unpacked_model_is_served_without_an_archive(aws, eventually):
    files = {"code/inference.py": HANDLER, "weights.txt": "the unpacked weights"}
    endpoint = Endpoint(aws, eventually, None, is_async=False, unpacked=files)
    assert endpoint.invoke(b"sound")["model"] == "the unpacked weights"


def test_an_empty_prefix_makes_the_endpoint_fail_with_the_reason(aws, eventually):
    endpoint = Endpoint(aws, eventually, None, is_async=False, status="Failed", unpacked={})
    assert "publish the unpacked model first" in endpoint.describe()["FailureReason"]


def test_a_handler_that_cannot_be_imported_fails_requests_and_not_the_endpoint(aws, eventually):
    endpoint = Endpoint(aws, eventually, archive(code__inference_py="import nowhere"), is_async=False)
    with pytest.raises(ClientError, match="ModelError"):
        endpoint.invoke(b"sound")
    assert endpoint.describe()["EndpointStatus"] == "InService"


def test_a_deleted_endpoint_leaves_no_process(aws, eventually, model):
    endpoint = Endpoint(aws, eventually, model, is_async=False)
    pid = endpoint.invoke(b"sound")["pid"]
    aws.client("sagemaker").delete_endpoint(EndpointName=endpoint.name)
    eventually(lambda: not psutil.pid_exists(pid))
    with pytest.raises(ClientError, match="not found"):
        endpoint.invoke(b"sound")


def test_the_container_runs_nothing_of_the_project_but_the_archive(real_time):
    assert str(Path(__file__).parents[2]) not in real_time.invoke(b"sound")["environment"].get("PYTHONPATH", "")
