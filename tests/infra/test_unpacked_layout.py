"""A release served as its files: an endpoint reads those of its release and no others."""

import json

import pytest
from aws_cdk.aws_logs import RetentionDays

from infra.environments import Environment
from infra.errors import ConfigurationError
from infra.inference_options import AsynchronousSettings, RealtimeSettings
from infra.instances import Hardware
from infra.served_model import HubModel, ModelLayout
from tests.infra.synthesized import synthesize

GPU = {"hardware": Hardware.GPU, "instance_type": "ml.g5.xlarge", "max_audio_seconds": 60, "layout": ModelLayout.UNPACKED}
SERVED = {"engine": "huggingface", "model": "base", **GPU}
TRY = Environment(
    name="try",
    retain_data=False,
    log_retention=RetentionDays.ONE_WEEK,
    account="123456789012",
    region="eu-west-1",
    asynchronous=AsynchronousSettings(**SERVED),
    realtime={"main": RealtimeSettings(**SERVED)},
)
FOLDER = f"/models/{'0' * 64}/unpacked/"


@pytest.fixture(scope="module", params=["Asynchronous", "Realtime-main"])
def template(request, tmp_path_factory):
    return synthesize(TRY, tmp_path_factory.mktemp("unpacked")).stacks[request.param]


def test_an_endpoint_starts_from_the_files_and_not_from_the_archive(template):
    served = template.resource("AWS::SageMaker::Model")["PrimaryContainer"]
    assert "ModelDataUrl" not in served
    source = served["ModelDataSource"]["S3DataSource"]
    assert (source["CompressionType"], source["S3DataType"]) == ("None", "S3Prefix")
    assert f'{FOLDER}"' in json.dumps(source["S3Uri"])


def test_its_role_reads_and_lists_the_files_of_this_release_only(template):
    files = [arn for arn in template.allowed("Model", "s3:GetObject") if "/models/" in arn]
    assert [arn[arn.index("/models/") :] for arn in files] == [f"{FOLDER}*"]
    (listing,) = [each for each in template.statements("Model") if each["Action"] == "s3:ListBucket"]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": f"{FOLDER[1:]}*"}}


def test_the_environment_says_what_to_publish_as_files():
    assert TRY.unpacked == (("huggingface", "base"),)


def test_a_model_without_a_release_has_no_layout():
    with pytest.raises(ConfigurationError, match=r"layout is unpacked for the engine 'hub', which serves no release"):
        RealtimeSettings(**{**GPU, "engine": "hub", "model": "base", "hub": HubModel("openai/whisper-base", "c" * 40)})
