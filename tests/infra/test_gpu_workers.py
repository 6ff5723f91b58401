"""As many copies of a model as its instance holds, and no more."""

import dataclasses

import pytest

from infra.environments import find_environment
from infra.errors import ConfigurationError
from infra.gpu_workers import PARAMETERS, copy_bytes, most_workers, require_workers
from infra.instances import InstanceType
from model_build.catalogue import SIZES
from whisperstack_contract.limits import GIB

# Source: the README of openai-whisper 20250625, "Required VRAM".
README_GB = {"tiny": 1, "base": 1, "small": 2, "medium": 5, "large-v3": 10, "large-v3-turbo": 6}


def test_the_sizes_are_those_that_artefacts_are_built_for():
    assert {size.name: size.parameters for size in SIZES} == PARAMETERS


@pytest.mark.parametrize(("model", "gigabytes"), README_GB.items())
def test_a_copy_is_given_at_least_what_its_authors_ask_for(model, gigabytes):
    assert copy_bytes("pytorch", model) >= gigabytes * 10**9
    assert copy_bytes("huggingface", model) < copy_bytes("pytorch", model)


@pytest.mark.parametrize(
    ("engine", "model", "instance", "most"),
    [
        ("pytorch", "tiny", "ml.g4dn.xlarge", 12),
        ("pytorch", "medium", "ml.g4dn.xlarge", 2),
        ("pytorch", "large-v3", "ml.g4dn.xlarge", 1),
        ("huggingface", "large-v3", "ml.g5.xlarge", 3),
        ("pytorch", "large-v3", "ml.g6e.xlarge", 3),
        # Four GPUs, but every worker runs on the first.
        ("pytorch", "large-v3", "ml.g5.12xlarge", 1),
        ("pytorch", "someone-elses", "ml.g5.xlarge", 1),
        ("pytorch", "large-v3", "ml.m5.2xlarge", 2),
        ("pytorch", "tiny", "ml.m5.2xlarge", 8),
    ],
)
def test_more_workers_than_fit_are_refused(engine, model, instance, most):
    found = InstanceType.parse(instance)
    assert most_workers(engine, model, found) == most
    require_workers(engine, model, found, most)
    with pytest.raises(ConfigurationError, match=rf"workers is {most + 1}; {instance} has .* must be 1 to {most}; lower it"):
        require_workers(engine, model, found, most + 1)
    with pytest.raises(ConfigurationError, match="workers is 0"):
        require_workers(engine, model, found, 0)


def test_an_environment_has_one_worker_and_is_refused_more_than_fit():
    settings = find_environment("prod").asynchronous
    assert settings.workers == 1
    assert dataclasses.replace(settings, workers=3).workers == 3
    told = r"workers is 4; ml.g5.xlarge has 24 GiB of memory on one GPU, and a copy of large-v3-turbo takes 7\.0 GiB"
    with pytest.raises(ConfigurationError, match=told):
        dataclasses.replace(settings, workers=4)


def test_what_a_gpu_holds_is_known_for_every_gpu_family():
    assert InstanceType.parse("ml.g5.xlarge").gpu_bytes == 24 * GIB
    assert InstanceType.parse("ml.m5.large").gpu_bytes == 0
