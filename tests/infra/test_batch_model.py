"""What transform jobs run: an archive, isolated, with a role for what jobs read and write."""

import json


def test_jobs_run_the_released_archive_without_the_network(dev):
    model = dev.batch.resource("AWS::SageMaker::Model")
    assert model["EnableNetworkIsolation"] is True
    assert f"/models/{'0' * 64}/model.tar.gz" in json.dumps(model["PrimaryContainer"]["ModelDataUrl"])
    told = model["PrimaryContainer"]["Environment"]
    assert "MMS_JOB_QUEUE_SIZE" not in told
    assert told["WHISPERSTACK_INFERENCE_OPTION"] == "batch"
    assert int(told["MMS_DEFAULT_RESPONSE_TIMEOUT"]) > 3600
    assert int(told["MMS_MAX_REQUEST_SIZE"]) >= 100 * 1024**2


def test_its_role_reads_staged_recordings_and_writes_raw_output_and_nothing_else(dev):
    readable = [arn.split(">")[1] for arn in dev.batch.allowed("Model", "s3:GetObject")]
    assert readable == ["/staged/*", f"/models/{'0' * 64}/model.tar.gz"]
    assert [arn.split(">")[1] for arn in dev.batch.allowed("Model", "s3:PutObject")] == ["/raw/batch/*"]
    assert dev.batch.allowed("Model", "sns:*") == []


def test_its_containers_log_where_transform_jobs_do(dev):
    (group,) = dev.batch.allowed("Model", "logs:CreateLogStream")
    assert group.endswith(":log-group:/aws/sagemaker/TransformJobs*")


def test_no_instance_runs_while_no_job_does(syntheses):
    kinds = {resource["Type"] for each in syntheses.values() for resource in each.batch.body["Resources"].values()}
    assert not [kind for kind in kinds if "Endpoint" in kind or "Instance" in kind]


def test_cpu_jobs_get_an_encrypted_volume(syntheses):
    assert len(syntheses["local"].batch.allowed("Model", "kms:CreateGrant")) == 1
    assert syntheses["prod"].batch.allowed("Model", "kms:CreateGrant") == []
