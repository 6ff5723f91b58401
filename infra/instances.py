"""What synth must know of a SageMaker instance type: its processors, and whether it has a GPU and a disk of its own."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from infra.errors import ConfigurationError
from whisperstack_contract.limits import GIB

_NAME: Final = re.compile(r"ml\.(?P<family>[a-z][\w-]*)\.(?P<size>\w+)")
_SIZE: Final = re.compile(r"large|(?P<multiple>\d*)xlarge")

# GiB of memory of one GPU, by family. Source: Amazon SageMaker pricing page, "accelerated computing" for inference, and the EC2
# instance type pages: T4, A10G, L4, L40S, V100, A100 twice, H100, H200 twice. All but p3 come with local NVMe disks.
_GPU_GIB: Final[Mapping[str, int]] = MappingProxyType(
    {"g4dn": 16, "g5": 24, "g6": 24, "g6e": 48, "p3": 16, "p4d": 40, "p4de": 80, "p5": 80, "p5e": 141, "p5en": 141}
)
_NVME_FAMILIES: Final = _GPU_GIB.keys() - {"p3"}
_NVME_CPU_FAMILY: Final = re.compile(r"[cmr]\d[a-z]*d[a-z]*")

# GiB of memory for each vCPU, by family. Source: the EC2 instance type pages; c4 has a little less than this.
_CPU_GIB: Final[Mapping[str, int]] = MappingProxyType(
    {
        **dict.fromkeys(("c4", "c5", "c5d", "c6i", "c6in", "c7i"), 2),
        **dict.fromkeys(("m4", "m5", "m5d", "m6i", "m7i"), 4),
        **dict.fromkeys(("r5", "r5d", "r6i", "r7i"), 8),
    }
)

# Source: EC2 user guide, "Instance type naming conventions": g behind the generation is Graviton. p6e has Grace processors.
_ARM_FAMILY: Final = re.compile(r"[a-z]+\d+g[a-z]*|p6e-gb\d+")
_OTHER_ACCELERATOR: Final = re.compile(r"(inf|trn|dl|eia)\d+[a-z]*")


class Hardware(StrEnum):
    CPU = "cpu"
    GPU = "gpu"


@dataclass(frozen=True)
class InstanceType:
    """gpu_bytes: memory of one of its GPUs, of which it may have several; 0 without one. memory_bytes: 0 if not known."""

    name: str
    vcpus: int
    gpu_bytes: int
    has_local_disk: bool
    """Its hardware encrypts a local NVMe disk, and SageMaker refuses a key for it. Source: CreateEndpointConfig, KmsKeyId."""
    memory_bytes: int = 0

    @property
    def has_gpu(self) -> bool:
        return self.gpu_bytes > 0

    @classmethod
    def parse(cls, name: str) -> "InstanceType":
        """Raises ConfigurationError for a name that is not ml.<family>.<size>, and for a family that is not known or no use."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise ConfigurationError(f"instance type {name!r} is not ml.<family>.<size>; use a name such as 'ml.g5.xlarge'")
        family = match["family"]
        _require_processors(name, family)
        size = _SIZE.fullmatch(match["size"])
        if size is None or family not in {**_GPU_GIB, **_CPU_GIB}:
            raise ConfigurationError(
                f"instance type {name!r} is not known here, so what it holds is not either; choose a size from large on of "
                f"{', '.join((*_GPU_GIB, *_CPU_GIB))}, or add its family to infra/instances.py"
            )
        # AWS sizes are regular: large has 2 vCPUs, xlarge 4, and Nxlarge N times as many.
        vcpus = 2 if size[0] == "large" else 4 * int(size["multiple"] or 1)
        local_disk = family in _NVME_FAMILIES or _NVME_CPU_FAMILY.fullmatch(family) is not None
        return cls(name, vcpus, _GPU_GIB.get(family, 0) * GIB, local_disk, _CPU_GIB.get(family, 0) * vcpus * GIB)


def _require_processors(name: str, family: str) -> None:
    for families, why in (
        (_ARM_FAMILY, "has Arm processors, and the images are for x86_64"),
        (_OTHER_ACCELERATOR, "has accelerators that no engine here runs on"),
    ):
        if families.fullmatch(family):
            raise ConfigurationError(f"instance type {name!r} {why}; choose one such as 'ml.m5.xlarge' or 'ml.g5.xlarge'")
