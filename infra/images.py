"""The serving images: where each region keeps them, which engines they run, and what their hosts need.

The table is images.json. It is data, so that a newer tag is a change of one line and a diff that a person can read.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from aws_cdk import Annotations
from aws_cdk.region_info import RegionInfo
from constructs import Construct

from infra.errors import ConfigurationError
from infra.instances import Hardware

TABLE: Final = Path(__file__).with_name("images.json")

# Runs both engines, has ffmpeg, and is still patched.
DEFAULT_IMAGE: Final = "huggingface"


# Of the regions with a registry, those for which the CDK refuses AWS::SageMaker::Endpoint. Source: the schemas in aws-cdk-lib.
REGIONS_WITHOUT_ENDPOINTS: Final = frozenset({"me-central-1", "us-gov-east-1"})


@dataclass(frozen=True)
class ServingImage:
    """One image for one kind of hardware. name: in the table. accounts: region → account of the registry there.

    serving_stack: 'mms' (Multi Model Server), 'torchserve', or 'whisperx' for the server of AWS's own WhisperX image.
    inference_ami_version, transform_ami_version: of the host of endpoints and of batch jobs, or None for SageMaker's default.
    patched_until: the last day of security patches, or None where no end is announced.
    """

    name: str
    repository: str
    tag: str
    serving_stack: str
    accounts: Mapping[str, str]
    has_ffmpeg: bool
    patched_until: date | None
    inference_ami_version: str | None
    transform_ami_version: str | None

    def require_region(self, region: str) -> None:
        """Raises ConfigurationError where `region` does not have this image, or nothing to run it."""
        usable = ", ".join(sorted(self.accounts.keys() - REGIONS_WITHOUT_ENDPOINTS))
        if region in REGIONS_WITHOUT_ENDPOINTS:
            raise ConfigurationError(
                f"region {region!r} has no AWS::SageMaker::Endpoint, as far as the CDK knows; choose one of: {usable}"
            )
        if region not in self.accounts:
            raise ConfigurationError(f"region {region!r} has no image {self.repository}; choose one of: {usable}")

    def uri(self, region: str) -> str:
        """The full address in `region`. Raises ConfigurationError where that has none."""
        self.require_region(region)
        # A region that this version of the CDK does not know yet is one of the public ones.
        suffix = RegionInfo.get(region).domain_suffix or "amazonaws.com"
        return f"{self.accounts[region]}.dkr.ecr.{region}.{suffix}/{self.repository}:{self.tag}"


def find_image(name: str, engine: str, hardware: Hardware) -> ServingImage:
    """Raises ConfigurationError for an image that is not in the table, or that does not run this engine on this hardware."""
    table = json.loads(TABLE.read_text())
    images: dict[str, Any] = table["images"]
    if name not in images:
        raise ConfigurationError(f"there is no image {name!r}; choose one of: {', '.join(images)}")
    image = images[name]
    if engine not in image["engines"]:
        able = [other for other, values in images.items() if engine in values["engines"]]
        remedy = f"choose one of: {', '.join(able)}" if able else f"the engines are: {', '.join(_engines(images))}"
        raise ConfigurationError(f"the image {name!r} does not run the engine {engine!r}; {remedy}")
    if hardware not in image["tags"]:
        raise ConfigurationError(
            f"the image {name!r} is there for {', '.join(image['tags'])} only; choose such an instance type"
        )
    accounts = {region: account for region, account in table["accounts"].items() if region not in image["without_regions"]}
    gpu = hardware is Hardware.GPU
    return ServingImage(
        name=name,
        repository=image["repository"],
        tag=image["tags"][hardware],
        serving_stack=image["serving_stack"],
        accounts=MappingProxyType(accounts),
        has_ffmpeg=image["has_ffmpeg"],
        patched_until=image["patched_until"] and date.fromisoformat(image["patched_until"]),
        # SageMaker's default host drivers are too old for the images' CUDA. Source: SageMaker API, ProductionVariant and
        # TransformResources.
        inference_ami_version=table["gpu_inference_ami_version"] if gpu else None,
        transform_ami_version=table["gpu_transform_ami_version"] if gpu else None,
    )


def warn_where_patches_end(scope: Construct, image: ServingImage) -> None:
    """At every synth, whatever the date: the same commit says the same."""
    if image.patched_until is not None:
        Annotations.of(scope).add_warning_v2(
            "whisperstack:imagePatchesEnd",
            f"the image {image.name!r} ({image.repository}:{image.tag}) has security patches until {image.patched_until} only; "
            f"choose the image {DEFAULT_IMAGE!r}, which is still patched, unless its serving stack is what you need",
        )


def _engines(images: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(engine for image in images.values() for engine in image["engines"]))
