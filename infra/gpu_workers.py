"""How many copies of a model an instance holds: a table of model size, type of number and memory.

One copy is the default, since copies share the GPU's speed; more are for short recordings, where one leaves it idle.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from infra.errors import ConfigurationError
from infra.instances import InstanceType
from whisperstack_contract.limits import GIB

# Source: `python -m model_build list`, which counts them from the dimensions; a test holds both together.
PARAMETERS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "tiny.en": 37_184_256,
        "tiny": 37_184_640,
        "base.en": 71_825_408,
        "base": 71_825_920,
        "small.en": 240_582_144,
        "small": 240_582_912,
        "medium.en": 762_320_896,
        "medium": 762_321_920,
        "large-v1": 1_541_384_960,
        "large-v2": 1_541_384_960,
        "large-v3": 1_541_570_560,
        "large-v3-turbo": 806_958_080,
    }
)

# openai-whisper keeps float32 on the GPU and casts layer by layer; the Hugging Face engine loads float16.
_BYTES_PER_PARAMETER: Final[Mapping[str, int]] = MappingProxyType({"pytorch": 4, "huggingface": 2})

_WIDEST: Final = "pytorch"

# Beside the weights: casts, and the attention caches of up to five candidates. OpenAI's README asks for 1.6 to 2.1 times the
# weights from `small` on, and for 1 GB at least, which is the CUDA context and the libraries' work space.
_FACTOR: Final = 2
_LEAST_BYTES: Final = 1 * GIB


def copy_bytes(engine: str, model: str) -> int:
    """GPU memory of one copy. For an engine that is not in the table, as much as for float32. Raises KeyError for a model."""
    return _LEAST_BYTES + _FACTOR * _BYTES_PER_PARAMETER.get(engine, 4) * PARAMETERS[model]


def most_workers(engine: str, model: str, instance: InstanceType) -> int:
    """The copies that the instance holds: on its first GPU, for every worker uses that; without one, one for each vCPU at most.

    On a GPU 1 at least: whether a single copy fits, the model's recommended instance says. 1 for a model of unknown size.
    """
    if not instance.has_gpu:
        if model not in PARAMETERS or not instance.memory_bytes:
            return instance.vcpus
        # Every engine computes in 32 bits there.
        return min(instance.vcpus, instance.memory_bytes // copy_bytes(_WIDEST, model))
    if model not in PARAMETERS:
        return 1
    return max(1, instance.gpu_bytes // copy_bytes(engine, model))


def require_workers(engine: str, model: str, instance: InstanceType, workers: int) -> None:
    """Raises ConfigurationError for more copies of the model than the instance holds."""
    most = most_workers(engine, model, instance)
    if 1 <= workers <= most:
        return
    if not instance.has_gpu and most < instance.vcpus:
        copy, memory = copy_bytes(_WIDEST, model) / GIB, instance.memory_bytes // GIB
        holds = f"{instance.vcpus} vCPUs and {memory} GiB of memory, and a copy of {model} takes {copy:.1f} GiB"
        if most < 1:
            raise ConfigurationError(f"{instance.name} has {holds}; choose a larger instance type, or a smaller model")
    elif not instance.has_gpu:
        holds = f"{instance.vcpus} vCPUs"
    elif model in PARAMETERS:
        copy = copy_bytes(engine, model) / GIB
        holds = f"{instance.gpu_bytes // GIB} GiB of memory on one GPU, and a copy of {model} takes {copy:.1f} GiB"
    else:
        holds = f"a GPU, and how much of it {model!r} takes is not known"
    raise ConfigurationError(
        f"workers is {workers}; {instance.name} has {holds}, so it must be 1 to {most}; "
        "lower it, or choose a larger instance type"
    )
