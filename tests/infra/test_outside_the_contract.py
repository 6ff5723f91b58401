"""Hub models, own images and WhisperX: allowed where they can do no harm, and said at every synth."""

import dataclasses
import json

import pytest
from aws_cdk.aws_logs import RetentionDays

from infra.environments import Environment
from infra.errors import ConfigurationError
from infra.images import find_image
from infra.inference_options import AsynchronousSettings, RealtimeSettings
from infra.instances import Hardware
from infra.served_model import HubModel, OwnImage
from tests.infra.synthesized import synthesize

MODEL = "AWS::SageMaker::Model"
GPU = {"hardware": Hardware.GPU, "instance_type": "ml.g5.xlarge", "max_audio_seconds": 60}
HUB = HubModel("openai/whisper-base", "c" * 40)
OWN = OwnImage(
    f"210987654321.dkr.ecr.eu-west-1.amazonaws.com/mine/whisper@sha256:{'d' * 64}",
    "s3://models-of-mine/whisper/model.tar.gz",
    "arn:aws:kms:eu-west-1:210987654321:key/0",
)
REALTIME = {
    "hub": RealtimeSettings(engine="hub", model="base", hub=HUB, **GPU),
    "own": RealtimeSettings(engine="own", model="mine", own=OWN, container_variables={"MODE": "fast"}, **GPU),
    "whisperx": RealtimeSettings(engine="whisperx", model="large-v3", image="whisperx", **GPU),
}
TRY = Environment(
    name="try",
    retain_data=False,
    log_retention=RetentionDays.ONE_WEEK,
    account="123456789012",
    region="eu-west-1",
    realtime=REALTIME,
)


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    return synthesize(TRY, tmp_path_factory.mktemp("outside"))


@pytest.fixture(scope="module")
def warnings(tried):
    """Stack → what synth says of it."""
    folder = tried.storage.path.parent
    artifacts = json.loads((folder / "manifest.json").read_text())["artifacts"]
    return {name: entries(artifact, folder) for name, artifact in artifacts.items()}


def entries(artifact, folder):
    metadata = dict(artifact.get("metadata", {}))
    if "additionalMetadataFile" in artifact:
        metadata |= json.loads((folder / artifact["additionalMetadataFile"]).read_text())
    return " ".join(
        str(each.get("data")) for listed in metadata.values() for each in listed if each["type"] == "aws:cdk:warning"
    )


def container(tried, name):
    return tried.stacks[f"Realtime-{name}"].resource(MODEL)["PrimaryContainer"]


def test_a_hub_model_is_the_one_with_a_network_and_its_revision_is_pinned(tried):
    isolated = {name: template.resource(MODEL)["EnableNetworkIsolation"] for name, template in real_time(tried).items()}
    assert isolated == {"hub": False, "own": True, "whisperx": True}
    told = container(tried, "hub")["Environment"]
    assert (told["HF_MODEL_ID"], told["HF_MODEL_REVISION"]) == ("openai/whisper-base", "c" * 40)
    assert told["HF_TASK"] == "automatic-speech-recognition"


def real_time(tried):
    return {name.removeprefix("Realtime-"): each for name, each in tried.stacks.items() if name.startswith("Realtime-")}


def test_a_hub_model_is_served_by_the_images_own_handler_and_has_no_artefact(tried):
    served = container(tried, "hub")
    assert "ModelDataUrl" not in served
    assert "SAGEMAKER_PROGRAM" not in served["Environment"]
    assert tried.stacks["Realtime-hub"].allowed("Model", "s3:GetObject") == []


def test_synth_says_what_stands_outside_the_transcript_contract(warnings):
    assert "comes from the hub at every start" in warnings["Whisperstack-try-Realtime-hub"]
    assert "chunk_length_s" in warnings["Whisperstack-try-Realtime-hub"]
    assert "is your own: its patches" in warnings["Whisperstack-try-Realtime-own"]
    assert "answers in its own format" in warnings["Whisperstack-try-Realtime-whisperx"]
    assert warnings["Whisperstack-try-Storage"] == ""


def test_an_own_image_and_archive_may_be_read_and_nothing_else(tried):
    template = tried.stacks["Realtime-own"]
    served = container(tried, "own")
    assert (served["Image"], served["ModelDataUrl"]) == (OWN.image_uri, OWN.model_data_url)
    assert served["Environment"] == {"MODE": "fast"}
    (repository,) = template.allowed("Model", "ecr:BatchGetImage")
    assert repository.endswith(":ecr:eu-west-1:210987654321:repository/mine/whisper")
    (archive,) = template.allowed("Model", "s3:GetObject")
    assert archive.endswith(":s3:::models-of-mine/whisper/model.tar.gz")
    assert OWN.model_data_key_arn in template.allowed("Model", "kms:Decrypt")


def test_whisperx_runs_in_its_image_without_a_canary_since_it_takes_a_form(tried):
    template = tried.stacks["Realtime-whisperx"]
    assert f"whisperx:{find_image('whisperx', 'whisperx', Hardware.GPU).tag}" in json.dumps(
        container(tried, "whisperx")["Image"]
    )
    assert template.resources("AWS::Lambda::Function", "Canary") == []
    assert len(template.resources("AWS::Lambda::Function", "CostGuard")) == 1


@pytest.mark.parametrize(
    "source", [{"engine": "hub", "hub": HUB}, {"engine": "whisperx", "image": "whisperx", "model": "large-v3"}]
)
def test_only_a_real_time_endpoint_may_stand_outside_the_contract(source):
    with pytest.raises(ConfigurationError, match=r"stands outside the transcript contract and takes real-time requests only"):
        AsynchronousSettings(**{"model": "base", **GPU, **source})


def test_an_own_image_of_another_region_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"lies in 'eu-west-1', and the environment in 'us-east-1'.*copy the image"):
        synthesize(dataclasses.replace(TRY, region="us-east-1", realtime={"own": REALTIME["own"]}), tmp_path)
