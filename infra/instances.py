"""What synth must know of a SageMaker instance type: its processors, and whether it has a GPU and a disk of its own."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from infra.errors import ConfigurationError

_NAME: Final = re.compile(r"ml\.(?P<family>[a-z]\w*)\.(?P<size>large|(?P<multiple>\d*)xlarge)")

# Source: Amazon SageMaker pricing page, "accelerated computing" for inference, and the EC2 instance type pages: each of these
# families has NVIDIA GPUs. Those whose name ends in d or n, and the three listed, come with local NVMe disks.
_GPU_FAMILIES: Final = frozenset({"g4dn", "g5", "g6", "g6e", "p3", "p4d", "p4de", "p5", "p5e", "p5en"})
_NVME_FAMILIES: Final = _GPU_FAMILIES - {"p3"}
_NVME_CPU_FAMILY: Final = re.compile(r"[cmr]\d[a-z]*d[a-z]*")


class Hardware(StrEnum):
    CPU = "cpu"
    GPU = "gpu"


@dataclass(frozen=True)
class InstanceType:
    name: str
    vcpus: int
    has_gpu: bool
    has_local_disk: bool
    """Its hardware encrypts a local NVMe disk, and SageMaker refuses a key for it. Source: CreateEndpointConfig, KmsKeyId."""

    @classmethod
    def parse(cls, name: str) -> "InstanceType":
        """Raises ConfigurationError for a name that is not ml.<family>.<size>."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise ConfigurationError(f"instance type {name!r} is not ml.<family>.<size>; use a name such as 'ml.g5.xlarge'")
        family = match["family"]
        # AWS sizes are regular: large has 2 vCPUs, xlarge 4, and Nxlarge N times as many.
        vcpus = 2 if match["size"] == "large" else 4 * int(match["multiple"] or 1)
        local_disk = family in _NVME_FAMILIES or _NVME_CPU_FAMILY.fullmatch(family) is not None
        return cls(name, vcpus, family in _GPU_FAMILIES, local_disk)
