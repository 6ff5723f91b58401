"""Settings that cannot work are refused with the value, the limit and the remedy."""

import dataclasses
import json
import os
import subprocess
import sys
from datetime import date

import pytest

from infra.environments import environment_names, find_environment
from infra.errors import ConfigurationError
from infra.images import REGIONS_WITHOUT_ENDPOINTS, find_image
from infra.inference_options import AsynchronousSettings
from infra.instances import Hardware, InstanceType
from infra.release import EXAMPLE_MANIFEST, find_release
from infra.retention import RetentionSettings
from infra.schedules import problem_of_cron
from tests.infra.synthesized import ROOT, synthesize

GPU = AsynchronousSettings(
    engine="pytorch", model="tiny", hardware=Hardware.GPU, instance_type="ml.g5.xlarge", max_audio_seconds=3600
)
CPU = dataclasses.replace(GPU, hardware=Hardware.CPU, instance_type="ml.m5.2xlarge")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"invocation_timeout_seconds": 3601}, r"invocation_timeout_seconds is 3601; it must be 1 to 3600"),
        ({"invocation_timeout_seconds": 0}, r"invocation_timeout_seconds is 0"),
        ({"reconcile_minutes": 61}, r"reconcile_minutes is 61; it must be 1 to 60"),
        ({"workers": 0}, r"workers is 0; .* must be 1 to"),
        ({"max_audio_seconds": 0}, r"max_audio_seconds is 0; it must be at least 1"),
        ({"model": "turbo"}, r"'turbo' is no Whisper model; choose one of: tiny.en, .*large-v3-turbo"),
        ({"instance_type": "ml.m5.xlarge"}, r"hardware is gpu, but ml.m5.xlarge has no GPU; set hardware to cpu"),
        ({"hardware": Hardware.CPU}, r"hardware is cpu, but ml.g5.xlarge has a GPU; set hardware to gpu"),
        ({"instance_type": "g5.xlarge"}, r"'g5.xlarge' is not ml.<family>.<size>"),
        ({"instance_type": "ml.zz9.large"}, r"'ml.zz9.large' is not known here.* or add its family to infra/instances.py"),
        ({"instance_type": "ml.g7e.2xlarge"}, r"'ml.g7e.2xlarge' is not known here"),
        ({"instance_type": "ml.p6-b200.48xlarge"}, r"'ml.p6-b200.48xlarge' is not known here"),
        ({"instance_type": "ml.t2.medium"}, r"'ml.t2.medium' is not known here"),
        ({"instance_type": "ml.inf2.xlarge"}, r"'ml.inf2.xlarge' has accelerators that no engine here runs on"),
        ({"instance_type": "ml.trn1.2xlarge"}, r"'ml.trn1.2xlarge' has accelerators"),
        ({"instance_type": "ml.c7g.xlarge"}, r"'ml.c7g.xlarge' has Arm processors, and the images are for x86_64"),
        ({"max_audio_seconds": 25 * 3600}, r"max_audio_seconds is 90000; no recording may be longer than 86400"),
        ({"invocation_timeout_seconds": 1}, r"asynchronous inference has 1 s .* at most 500; lower it, or raise that time"),
    ],
)
def test_settings_that_cannot_work_are_refused(change, told):
    with pytest.raises(ConfigurationError, match=told):
        dataclasses.replace(GPU, **change)


def test_a_copy_that_does_not_fit_a_cpu_instance_is_refused():
    told = r"ml.m5.large has 2 vCPUs and 8 GiB of memory, and a copy of large-v3 takes 12.5 GiB; choose a larger instance type"
    with pytest.raises(ConfigurationError, match=told):
        dataclasses.replace(CPU, model="large-v3", instance_type="ml.m5.large")
    with pytest.raises(ConfigurationError, match=r"workers is 3; ml.m5.2xlarge has 8 vCPUs and 32 GiB of memory.* 1 to 2"):
        dataclasses.replace(CPU, model="large-v3", workers=3)


@pytest.mark.parametrize(
    "expression",
    [
        *(
            "0 7 ? * MON-FRI *",
            "0/15 * * * ? *",
            "15 10 L * ? 2026-2030",
            "0 8 1W 1,JUL ? *",
            "0 8 ? * 6#3 *",
            "5 0 ? JAN-MAR 2L *",
        ),
    ],
)
def test_what_eventbridge_takes_is_no_problem(expression):
    assert problem_of_cron(f"cron({expression})") is None


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("0 7 * * MON *", "and not both"),
        ("0 7 ? * ? *", "and not both"),
        ("60 7 ? * MON *", "its minutes, '60', must be 0 to 59"),
        ("0 7 32 * ? *", "its day of the month, '32', must be 1 to 31"),
        ("0 7 ? 13 MON *", "its month, '13', must be 1 to 12 or JAN to DEC"),
        ("0 7 ? * MON 1969", "its year, '1969', must be 1970 to 2199"),
        ("0/0 7 ? * MON *", "its minutes, '0/0'"),
        ("0-1-2 7 ? * MON *", "its minutes, '0-1-2'"),
        ("0 7 ? * MON", "with six fields"),
    ],
)
def test_what_eventbridge_refuses_is_told(expression, told):
    assert told in problem_of_cron(f"cron({expression})")


def test_more_workers_than_processors_are_refused():
    with pytest.raises(ConfigurationError, match=r"workers is 9; ml.m5.2xlarge has 8 vCPUs"):
        dataclasses.replace(CPU, workers=9)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"intermediate_days": 14}, r"intermediate_days is 14; it must be 15 to 365"),
        ({"intermediate_days": 366}, r"intermediate_days is 366"),
        ({"recordings_days": 0}, r"recordings_days is 0; it must be 1 to 3653"),
        ({"transcripts_days": 3654}, r"transcripts_days is 3654"),
        ({"access_log_days": 0}, r"access_log_days is 0"),
        ({"captured_days": 366}, r"captured_days is 366; it must be 1 to 365"),
    ],
)
def test_retention_that_cannot_work_is_refused(change, told):
    with pytest.raises(ConfigurationError, match=told):
        RetentionSettings(**change)


@pytest.mark.parametrize(
    ("name", "vcpus", "gpu_gib", "has_local_disk"),
    [
        ("ml.m5.xlarge", 4, 0, False),
        ("ml.c5.large", 2, 0, False),
        ("ml.c5d.9xlarge", 36, 0, True),
        ("ml.g4dn.xlarge", 4, 16, True),
        ("ml.g5.12xlarge", 48, 24, True),
        ("ml.p3.2xlarge", 8, 16, False),
    ],
)
def test_an_instance_type_tells_its_processors_and_disks(name, vcpus, gpu_gib, has_local_disk):
    found = InstanceType.parse(name)
    assert (found.vcpus, found.gpu_bytes, found.has_local_disk) == (vcpus, gpu_gib * 1024**3, has_local_disk)


def test_an_unknown_environment_is_answered_with_those_that_exist():
    with pytest.raises(ConfigurationError, match=r"no environment 'stage'; choose one of: local, dev, staging, prod"):
        find_environment("stage")


def test_the_app_tells_an_unknown_environment_in_one_line():
    context = json.dumps({"env": "stage"})
    run = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={"CDK_CONTEXT_JSON": context, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr.strip() == "error: there is no environment 'stage'; choose one of: local, dev, staging, prod"


@pytest.mark.parametrize("region", sorted(REGIONS_WITHOUT_ENDPOINTS))
def test_a_region_without_endpoints_is_refused_and_the_cdk_knows_of_none(tmp_path, monkeypatch, region):
    staging = dataclasses.replace(find_environment("staging"), region=region)
    with pytest.raises(
        ConfigurationError, match=rf"'{region}' has no AWS::SageMaker::Endpoint.*; choose one of: .*us-gov-west-1"
    ):
        synthesize(staging, tmp_path / "refused")
    monkeypatch.setattr("infra.images.REGIONS_WITHOUT_ENDPOINTS", frozenset())
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        synthesize(staging, tmp_path / "tried")
    (report,) = (tmp_path / "tried").rglob("validation-report.json")
    assert f"Resource type 'AWS::SageMaker::Endpoint' does not exist in '{region}'" in report.read_text()


@pytest.mark.parametrize("name", environment_names())
def test_no_environment_is_told_its_account_unless_it_is_the_embedded_one(name):
    environment = find_environment(name)
    expected = ("123456789012", "us-east-1") if name == "local" else (None, None)
    assert (environment.account, environment.region) == expected


@pytest.mark.parametrize("engine", ["pytorch", "huggingface"])
@pytest.mark.parametrize(("hardware", "kind"), [(Hardware.CPU, "-cpu-"), (Hardware.GPU, "-gpu-")])
def test_every_engine_has_an_image_for_the_hardware(engine, hardware, kind):
    image = find_image("huggingface", engine, hardware)
    assert kind in image.tag
    assert (image.inference_ami_version is not None) == (hardware is Hardware.GPU)


@pytest.mark.parametrize(
    ("image", "engine", "hardware", "told"),
    [
        ("tensorflow", "pytorch", Hardware.GPU, "no image 'tensorflow'; choose one of: huggingface, pytorch, whisperx"),
        ("huggingface", "whisperx", Hardware.GPU, "'huggingface' does not run the engine 'whisperx'; choose one of: whisperx"),
        ("pytorch", "huggingface", Hardware.GPU, "'pytorch' does not run the engine 'huggingface'; choose one of: huggingface"),
        ("pytorch", "kaldi", Hardware.GPU, "the engines are: pytorch, huggingface, whisperx"),
        ("whisperx", "whisperx", Hardware.CPU, "'whisperx' is there for gpu only"),
    ],
)
def test_an_image_that_cannot_run_the_engine_is_refused(image, engine, hardware, told):
    with pytest.raises(ConfigurationError, match=told):
        find_image(image, engine, hardware)


def test_an_image_that_is_patched_no_more_says_since_when():
    assert find_image("pytorch", "pytorch", Hardware.GPU).patched_until == date(2026, 6, 30)
    assert find_image("huggingface", "pytorch", Hardware.GPU).patched_until is None


@pytest.mark.parametrize("image", ["huggingface", "pytorch", "whisperx"])
def test_hosts_of_gpu_images_have_drivers_for_endpoints_and_for_batch_jobs(image):
    engine = "whisperx" if image == "whisperx" else "pytorch"
    found = find_image(image, engine, Hardware.GPU)
    assert found.inference_ami_version == "al2-ami-sagemaker-inference-gpu-3-1"
    assert found.transform_ami_version == "al2-ami-sagemaker-batch-gpu-535"


def test_an_image_has_one_address_in_each_region():
    uri = find_image("huggingface", "pytorch", Hardware.CPU).uri("eu-south-1")
    assert uri == (
        "692866216735.dkr.ecr.eu-south-1.amazonaws.com/huggingface-pytorch-inference:"
        "2.6.0-transformers5.5.3-cpu-py312-ubuntu22.04"
    )


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("cn-north-1", "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "442386744353.dkr.ecr.us-gov-west-1.amazonaws.com"),
        ("us-iso-east-1", "886529160074.dkr.ecr.us-iso-east-1.c2s.ic.gov"),
    ],
)
def test_an_address_ends_as_its_partition_does(region, host):
    assert find_image("huggingface", "pytorch", Hardware.CPU).uri(region).startswith(f"{host}/huggingface-pytorch-inference:")


def test_a_region_without_the_image_is_refused_with_those_that_have_it():
    with pytest.raises(ConfigurationError, match=r"'ap-southeast-7' has no image.*eu-central-1"):
        find_image("huggingface", "pytorch", Hardware.GPU).require_region("ap-southeast-7")


def test_regions_keep_the_image_in_their_own_account():
    accounts = find_image("huggingface", "pytorch", Hardware.CPU).accounts
    assert accounts["us-east-1"] == "763104351884"
    assert accounts["eu-south-1"] == "692866216735"
    assert all(len(account) == 12 and account.isdigit() for account in accounts.values())


def write_manifest(path, **changes):
    manifest = {**json.loads(EXAMPLE_MANIFEST.read_text()), "digest": "b" * 64, "example": False, **changes}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(manifest))
    return path


def test_the_stand_in_is_used_where_nothing_is_built(tmp_path):
    release = find_release(tmp_path, "huggingface", "base")
    assert (release.example, release.digest) == (True, "0" * 64)


def test_a_built_release_goes_before_the_stand_in(tmp_path):
    write_manifest(tmp_path / "build" / "artefacts" / "pytorch" / "tiny.en" / "release.json")
    assert find_release(tmp_path, "pytorch", "tiny.en").digest == "b" * 64


def test_a_named_release_goes_before_a_built_one(tmp_path):
    write_manifest(tmp_path / "build" / "artefacts" / "pytorch" / "tiny.en" / "release.json")
    named = write_manifest(tmp_path / "other.json", digest="c" * 64)
    assert find_release(tmp_path, "pytorch", "tiny.en", named).digest == "c" * 64


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": "base"}, r"holds pytorch/base, but the environment asks for pytorch/tiny.en"),
        ({"engine": "huggingface"}, r"holds huggingface/tiny.en, but the environment asks for pytorch/tiny.en"),
        ({"digest": "abc"}, r"digest 'abc' is not 64 hexadecimal digits"),
        ({"layout": "unpacked"}, r"layout is 'unpacked'; an asynchronous endpoint takes 'archive'"),
        ({"schema": 2}, r"schema 2"),
    ],
)
def test_a_release_that_cannot_be_deployed_is_refused(tmp_path, changes, told):
    named = write_manifest(tmp_path / "release.json", **changes)
    with pytest.raises(ConfigurationError, match=told):
        find_release(tmp_path, "pytorch", "tiny.en", named)


def test_a_named_release_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"no release manifest at .*gone.json"):
        find_release(tmp_path, "pytorch", "tiny.en", tmp_path / "gone.json")
