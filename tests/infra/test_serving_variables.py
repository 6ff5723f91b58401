"""What the containers of the templates are told: enough time, large enough bodies, on either serving stack."""

import dataclasses
import json

import pytest

from infra.environments import find_environment
from infra.errors import ConfigurationError
from infra.instances import InstanceType
from infra.release import EXAMPLE_MANIFEST
from infra.serving_variables import ServingLimits, require_floors, serving_variables
from tests.infra.synthesized import synthesize

GPU = InstanceType.parse("ml.g5.xlarge")
CPU = InstanceType.parse("ml.m5.2xlarge")
LIMITS = ServingLimits(invocation_timeout_seconds=3600, payload_bytes=1024**3, workers=1)
TIMEOUTS = {
    "mms": ["MMS_DEFAULT_RESPONSE_TIMEOUT", "SAGEMAKER_MODEL_SERVER_TIMEOUT", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS"],
    "torchserve": ["TS_DEFAULT_RESPONSE_TIMEOUT"],
}
SIZES = {
    "mms": ["MMS_MAX_REQUEST_SIZE", "MMS_MAX_RESPONSE_SIZE"],
    "torchserve": ["TS_MAX_REQUEST_SIZE", "TS_MAX_RESPONSE_SIZE"],
}


@pytest.mark.parametrize("stack", ["mms", "torchserve"])
@pytest.mark.parametrize("seconds", [1, 900, 3600])
def test_the_serving_stack_outlasts_the_invocation_in_each_of_its_timeouts(stack, seconds):
    variables = serving_variables(stack, dataclasses.replace(LIMITS, invocation_timeout_seconds=seconds), GPU)
    assert all(int(variables[name]) > seconds for name in TIMEOUTS[stack])


@pytest.mark.parametrize(("stack", "least_seconds", "least_bytes"), [("mms", 900, 2 * 10**9), ("torchserve", 1000, 10**8)])
def test_no_value_is_below_the_articles(stack, least_seconds, least_bytes):
    variables = serving_variables(stack, ServingLimits(invocation_timeout_seconds=60, payload_bytes=1, workers=1), GPU)
    assert {int(variables[name]) for name in TIMEOUTS[stack]} == {least_seconds}
    assert {int(variables[name]) for name in SIZES[stack]} == {least_bytes}


@pytest.mark.parametrize("stack", ["mms", "torchserve"])
def test_the_serving_stack_takes_the_largest_recording_that_the_service_takes(stack):
    variables = serving_variables(stack, LIMITS, GPU)
    assert all(int(variables[name]) >= 1024**3 for name in SIZES[stack])


@pytest.mark.parametrize("stack", ["mms", "torchserve"])
@pytest.mark.parametrize(("workers", "threads"), [(1, "8"), (2, "4"), (8, "1")])
def test_workers_share_the_processors_of_a_cpu_instance(stack, workers, threads):
    assert serving_variables(stack, dataclasses.replace(LIMITS, workers=workers), CPU)["OMP_NUM_THREADS"] == threads


def test_threads_are_left_to_the_gpu_image():
    assert "OMP_NUM_THREADS" not in serving_variables("mms", LIMITS, GPU)


def test_a_stack_that_takes_no_raw_audio_is_refused():
    with pytest.raises(ConfigurationError, match=r"'whisperx' takes no request as raw audio.*use it for real-time only"):
        serving_variables("whisperx", LIMITS, GPU)


@pytest.mark.parametrize("name", [name for names in (*TIMEOUTS.values(), *SIZES.values()) for name in names])
@pytest.mark.parametrize("value", ["60", "", "1e9", "-1"])
def test_a_variable_below_its_floor_is_refused(name, value):
    with pytest.raises(ConfigurationError, match=rf"{name} is '{value}'; it must be at least (3600|1073741824)"):
        require_floors({name: value}, LIMITS)


@pytest.mark.parametrize("value", ["0", "31", "-5", "", "half a minute", "1e1"])
def test_a_chunk_that_the_model_cannot_hear_at_once_is_refused(value):
    with pytest.raises(ConfigurationError, match=f"WHISPERSTACK_CHUNK_LENGTH_SECONDS is '{value}'; it must be 1 to 30"):
        require_floors({"WHISPERSTACK_CHUNK_LENGTH_SECONDS": value}, LIMITS)


def test_unknown_numerics_are_refused():
    for known in ("exact", "fast"):
        require_floors({"WHISPERSTACK_NUMERICS": known}, LIMITS)
    with pytest.raises(ConfigurationError, match="WHISPERSTACK_NUMERICS is 'quick'; it must be 'exact' or 'fast'"):
        require_floors({"WHISPERSTACK_NUMERICS": "quick"}, LIMITS)


def test_a_shorter_chunk_is_taken():
    require_floors({"WHISPERSTACK_CHUNK_LENGTH_SECONDS": "12.5"}, LIMITS)


def _with(**changes):
    environment = find_environment("local")
    return dataclasses.replace(environment, asynchronous=dataclasses.replace(environment.asynchronous, **changes))


def test_an_environment_with_such_a_variable_is_refused_at_synth(tmp_path):
    with pytest.raises(ConfigurationError, match="MMS_DEFAULT_RESPONSE_TIMEOUT is '900'"):
        synthesize(_with(container_variables={"MMS_DEFAULT_RESPONSE_TIMEOUT": "900"}), tmp_path)


def test_the_pytorch_image_is_told_in_the_words_of_its_own_stack(tmp_path):
    template = synthesize(_with(image="pytorch"), tmp_path).asynchronous
    container = template.resource("AWS::SageMaker::Model")["PrimaryContainer"]
    assert "pytorch-inference:2.6.0-cpu-py312-ubuntu22.04-sagemaker" in str(container["Image"])
    assert container["Environment"]["TS_DEFAULT_RESPONSE_TIMEOUT"] == "3660"
    assert not [name for name in container["Environment"] if name.startswith("MMS_")]


def test_containers_are_told_what_hardware_they_were_deployed_on(tmp_path):
    template = synthesize(_with(), tmp_path).asynchronous
    assert template.resource("AWS::SageMaker::Model")["PrimaryContainer"]["Environment"]["WHISPERSTACK_HARDWARE"] == "cpu"


def test_an_image_whose_patches_end_is_warned_of_at_synth(tmp_path, syntheses):
    synthesize(_with(image="pytorch"), tmp_path)
    told = "'pytorch' (pytorch-inference:2.6.0-cpu-py312-ubuntu22.04-sagemaker) has security patches until 2026-06-30 only"
    # The CDK command prints what the assembly holds.
    assert told in _assembly(tmp_path)
    assert "security patches" not in _assembly(syntheses["local"].storage.path.parent)


def _assembly(folder):
    return "".join(path.read_text() for path in folder.glob("*.json") if not path.name.endswith("template.json"))


@pytest.mark.parametrize(("stack", "name"), [("mms", "MMS_JOB_QUEUE_SIZE"), ("torchserve", "TS_JOB_QUEUE_SIZE")])
def test_a_real_time_endpoint_keeps_few_requests_waiting_and_the_others_keep_the_stacks_queue(stack, name):
    limits = dataclasses.replace(LIMITS, queued_requests=2)
    assert serving_variables(stack, limits, GPU)[name] == "2"
    assert name not in serving_variables(stack, LIMITS, GPU)


def _release(path, **changes):
    manifest = {**json.loads(EXAMPLE_MANIFEST.read_text()), "engine": "pytorch", "model": "tiny.en", "digest": "b" * 64}
    path.write_text(json.dumps({**manifest, "example": False, **changes}))
    return path


def test_an_image_without_ffmpeg_takes_only_an_archive_that_carries_one(tmp_path):
    without, carrying = _release(tmp_path / "without.json"), _release(tmp_path / "carrying.json", has_ffmpeg=True)
    with pytest.raises(ConfigurationError, match=r"'pytorch' has no ffmpeg, and the archive of pytorch/tiny.en carries none"):
        synthesize(_with(image="pytorch"), tmp_path / "refused", without)
    synthesize(_with(image="pytorch"), tmp_path / "carrying", carrying)
    synthesize(_with(), tmp_path / "huggingface", without)
