"""Transform jobs do their work, and fail as SageMaker's do; a state machine waits for them."""

import io
import json
import tarfile
import uuid

import pytest
from botocore.exceptions import ClientError

HANDLER = """
import json, os, time

def model_fn(model_dir, context=None):
    return None

def transform_fn(model, body, content_type, accept, context=None):
    if bytes(body) == b"refuse":
        context.set_response_status(422, "no", 0)
    if bytes(body) == b"slow":
        time.sleep(2)
    return json.dumps({"text": bytes(body[:10]).decode(), "batch": os.environ.get("SAGEMAKER_BATCH"), "own": os.environ["OWN"]})
"""

ROLE = "arn:aws:iam::123456789012:role/everything"


class Batch:
    """A bucket, a model, and jobs over what lies in the bucket."""

    def __init__(self, aws, eventually):
        self.aws, self._eventually, self.bucket = aws, eventually, f"batch-{uuid.uuid4().hex[:8]}"
        self.sagemaker, self.s3 = aws.client("sagemaker"), aws.client("s3")
        self.s3.create_bucket(Bucket=self.bucket)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            info = tarfile.TarInfo("code/inference.py")
            info.size = len(HANDLER)
            tar.addfile(info, io.BytesIO(HANDLER.encode()))
        self.put("model.tar.gz", archive.getvalue())
        container = {"Image": "image", "ModelDataUrl": f"s3://{self.bucket}/model.tar.gz", "Environment": {"OWN": "model"}}
        self.sagemaker.create_model(ModelName=self.bucket, ExecutionRoleArn=ROLE, PrimaryContainer=container)

    def put(self, key, body):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def request(self, manifest, **more):
        name = f"job-{uuid.uuid4().hex[:8]}"
        self.put(f"{name}/manifest.json", json.dumps([{"prefix": f"s3://{self.bucket}/in/"}, *manifest]))
        source = {"S3DataType": "ManifestFile", "S3Uri": f"s3://{self.bucket}/{name}/manifest.json"}
        return {
            "TransformJobName": name,
            "ModelName": self.bucket,
            "TransformInput": {"DataSource": {"S3DataSource": source}},
            "TransformOutput": {"S3OutputPath": f"s3://{self.bucket}/{name}/out"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            "Environment": {"OWN": "job"},
            **more,
        }

    def run(self, manifest, **more):
        request = self.request(manifest, **more)
        self.sagemaker.create_transform_job(**request)
        return self.ended(request["TransformJobName"])

    def ended(self, name):
        def job():
            described = self.sagemaker.describe_transform_job(TransformJobName=name)
            return described if described["TransformJobStatus"] in ("Completed", "Failed", "Stopped") else None

        return self._eventually(job)

    def outputs(self, name):
        prefix = f"{name}/out/"
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return {
            entry["Key"].removeprefix(prefix): self.s3.get_object(Bucket=self.bucket, Key=entry["Key"])["Body"].read()
            for entry in found
        }


@pytest.fixture(scope="module")
def batch(aws, eventually):
    made = Batch(aws, eventually)
    for name, body in {"one": b"first", "two": b"second", "bad": b"refuse", "slow": b"slow", "big": bytes(1024**2 + 1)}.items():
        made.put(f"in/{name}", body)
    return made


def test_each_object_of_a_manifest_gets_an_output_under_its_name(batch):
    job = batch.run(["one", "two"])
    assert job["TransformJobStatus"] == "Completed"
    outputs = batch.outputs(job["TransformJobName"])
    assert {name: json.loads(body)["text"] for name, body in outputs.items()} == {"one.out": "first", "two.out": "second"}


def test_the_container_has_the_jobs_variables_over_the_models(batch):
    job = batch.run(["one"])
    (answer,) = batch.outputs(job["TransformJobName"]).values()
    assert json.loads(answer) == {"text": "first", "batch": "true", "own": "job"}


def test_without_a_manifest_the_prefix_is_the_input(batch):
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{batch.bucket}/in/o"}
    job = batch.run([], TransformInput={"DataSource": {"S3DataSource": source}})
    assert list(batch.outputs(job["TransformJobName"])) == ["ne.out"]


@pytest.mark.parametrize("name", ["bad", "big", "nowhere"])
def test_one_bad_object_fails_the_job_and_the_others_are_kept(batch, name):
    job = batch.run(["one", name, "two"], MaxPayloadInMB=1)
    assert job["TransformJobStatus"] == "Failed"
    assert name in job["FailureReason"]
    assert set(batch.outputs(job["TransformJobName"])) == {"one.out", "two.out"}


def test_a_stopped_job_keeps_what_it_has_and_begins_nothing_more(batch):
    request = batch.request(["slow"] * 20)
    name = request["TransformJobName"]
    batch.sagemaker.create_transform_job(**request)
    batch.sagemaker.stop_transform_job(TransformJobName=name)
    assert batch.ended(name)["TransformJobStatus"] == "Stopped"


@pytest.mark.parametrize(
    "values", [{"MaxPayloadInMB": 100, "MaxConcurrentTransforms": 2}, {"TransformJobName": "taken"}, {"ModelName": "nowhere"}]
)
def test_what_sagemaker_refuses_is_refused(batch, values):
    if "TransformJobName" in values:
        batch.run(["one"], **values)
    with pytest.raises(ClientError):
        batch.sagemaker.create_transform_job(**batch.request(["one"], **values))


def test_a_state_machine_waits_for_the_job_and_catches_its_failure(batch, aws, eventually):
    states = aws.client("stepfunctions")
    definition = {
        "StartAt": "Transform",
        "States": {
            "Transform": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sagemaker:createTransformJob.sync",
                "Parameters": {
                    "TransformJobName.$": "$.TransformJobName",
                    "ModelName.$": "$.ModelName",
                    "TransformInput.$": "$.TransformInput",
                    "TransformOutput.$": "$.TransformOutput",
                    "TransformResources.$": "$.TransformResources",
                    "Environment.$": "$.Environment",
                },
                "Catch": [{"ErrorEquals": ["States.TaskFailed"], "Next": "Caught", "ResultPath": "$.error"}],
                "End": True,
            },
            "Caught": {"Type": "Pass", "End": True},
        },
    }
    machine = states.create_state_machine(name=batch.bucket, definition=json.dumps(definition), roleArn=ROLE)["stateMachineArn"]

    def execute(request):
        execution = states.start_execution(stateMachineArn=machine, input=json.dumps(request))["executionArn"]

        def ended():
            described = states.describe_execution(executionArn=execution)
            return described if described["status"] != "RUNNING" else None

        return eventually(ended)

    succeeded = execute(batch.request(["one"]))
    assert succeeded["status"] == "SUCCEEDED"
    assert json.loads(succeeded["output"])["TransformJobStatus"] == "Completed"
    failed = execute(batch.request(["bad"]))
    assert failed["status"] == "SUCCEEDED"
    assert json.loads(json.loads(failed["output"])["error"]["Cause"])["TransformJobStatus"] == "Failed"
