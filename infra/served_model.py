"""What every inference option says of its model: which, in which image, on which instances, with how many workers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from infra.errors import ConfigurationError, require_range
from infra.gpu_workers import require_workers
from infra.images import DEFAULT_IMAGE
from infra.instances import Hardware, InstanceType
from infra.settings import Settings
from whisperstack_contract import variables
from whisperstack_contract.inference_options import InferenceOption
from whisperstack_contract.limits import AUDIO_SECONDS

# Source: openai-whisper 20250625, whisper.available_models(). 'large' and 'turbo' are left out: what they mean moves with the
# package, and a release is named by what it holds.
WHISPER_MODELS: Final = (
    *("tiny.en", "tiny", "base.en", "base", "small.en", "small", "medium.en", "medium"),
    *("large-v1", "large-v2", "large-v3", "large-v3-turbo"),
)

# Source: CreateEndpointConfig API, AsyncInferenceClientConfig.
MAX_WORKERS: Final = 1000

# Source: CreateEndpointConfig API, InstancePools.
MAX_INSTANCE_TYPES: Final = 5

_ECR_IMAGE: Final = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.(?P<suffix>amazonaws\.com(?:\.cn)?)/"
    r"(?P<repository>[a-z0-9][a-z0-9._/-]*)(?::(?P<tag>[\w][\w.-]*)|@sha256:[0-9a-f]{64})"
)
_S3_OBJECT: Final = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<key>.+\.tar\.gz)")
_HUB_MODEL: Final = re.compile(r"[\w.-]+/[\w.-]+")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")

# Seconds of audio in a second of processing, above any that is known for one request: WhisperX says 70 for large-v2 on a GPU,
# docs/performance.md about 100 for tiny.en on two cores. What a model really does on an instance, a measurement says.
MOST_SPEED: Final = 500

# Source: SageMaker API, ContainerDefinition: Environment.
_VARIABLE: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,1023}")
_VARIABLE_CHARS: Final = 1024
_SET_HERE: Final = (variables.MODEL_DIGEST, variables.INFERENCE_OPTION, variables.HARDWARE, variables.MAX_AUDIO_SECONDS)

# The engines that this project's own handler and artefacts are made for; those beside them stand outside its contract.
HUB_ENGINE: Final = "hub"
OWN_ENGINE: Final = "own"
WHISPERX_ENGINE: Final = "whisperx"


class ModelLayout(StrEnum):
    """How a release lies in the model bucket: as one archive, or as its files, which an endpoint starts from sooner."""

    ARCHIVE = "archive"
    UNPACKED = "unpacked"


@dataclass(frozen=True)
class HubModel(Settings):
    """A model that the container downloads from the Hugging Face hub when it starts, served by the image's stock handler.

    model_id: its owner and name there, such as 'openai/whisper-base'. task: which of transformers' pipelines runs it.
    revision: a full commit hash; a branch or a tag would change what runs at the next start of an instance.
    """

    model_id: str
    revision: str
    task: str = "automatic-speech-recognition"

    def __post_init__(self) -> None:
        if not _HUB_MODEL.fullmatch(self.model_id):
            raise ConfigurationError(f"model_id is {self.model_id!r}; it must be <owner>/<name>, such as openai/whisper-base")
        if not _COMMIT.fullmatch(self.revision):
            raise ConfigurationError(
                f"revision is {self.revision!r}; it must be a commit of 40 hexadecimal digits; the model's page lists them"
            )


@dataclass(frozen=True)
class OwnImage(Settings):
    """An image and an archive of your own, such as a private build or a JumpStart model.

    image_uri: in ECR, by a tag or a digest. model_data_url: an archive in S3. model_data_key_arn: of the key that it is
    encrypted with, where that is a customer-managed one; its policy must allow this account's use.
    """

    image_uri: str
    model_data_url: str
    model_data_key_arn: str | None = None

    def __post_init__(self) -> None:
        if not _ECR_IMAGE.fullmatch(self.image_uri):
            raise ConfigurationError(
                f"image_uri is {self.image_uri!r}; it must be <account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>, "
                "or end in @sha256:<digest>"
            )
        if self.tag == "latest":
            raise ConfigurationError(
                f"image_uri is {self.image_uri!r}; 'latest' changes by itself; give a full tag or a digest"
            )
        if not _S3_OBJECT.fullmatch(self.model_data_url):
            raise ConfigurationError(
                f"model_data_url is {self.model_data_url!r}; it must be s3://<bucket>/<key> of a .tar.gz archive"
            )

    @property
    def account(self) -> str:
        return self._part(_ECR_IMAGE, self.image_uri, "account")

    @property
    def region(self) -> str:
        return self._part(_ECR_IMAGE, self.image_uri, "region")

    @property
    def repository(self) -> str:
        return self._part(_ECR_IMAGE, self.image_uri, "repository")

    @property
    def tag(self) -> str:
        """Empty for an image that is named by its digest."""
        return self._part(_ECR_IMAGE, self.image_uri, "tag")

    @property
    def bucket(self) -> str:
        return self._part(_S3_OBJECT, self.model_data_url, "bucket")

    @property
    def key(self) -> str:
        return self._part(_S3_OBJECT, self.model_data_url, "key")

    @staticmethod
    def _part(pattern: re.Pattern[str], text: str, name: str) -> str:
        match = pattern.fullmatch(text)
        return (match and match[name]) or ""


@dataclass(frozen=True, kw_only=True)
class ServedModel(Settings):
    """A model on instances.

    engine: 'pytorch', 'huggingface' or 'whisperx', or 'hub' or 'own' beside the setting of that name.
    model: a size of Whisper, such as 'large-v3-turbo'.
    hardware: what the image is for, CPU or GPU. instance_type: of SageMaker, such as 'ml.g5.xlarge'.
    workers: copies of the model in one instance, and so the requests that it takes at a time.
    max_audio_seconds: the longest recording that can be transcribed within the option's time limit on this instance.
    image: a name in infra/images.json. container_variables: of the container, over what the serving stack is told otherwise.
    layout: which form of the release is served; transform jobs take the archive only.
    alternatives: other instance types, in order of preference, for when there are none of `instance_type`.
    hub: a model of the Hugging Face hub in place of a built release; `engine` is then 'hub', and `model` a name to tell it by.
    own: an image and an archive of your own in place of a built release; `engine` is then 'own', and `model` a name of yours.
    """

    engine: str
    model: str
    hardware: Hardware
    instance_type: str
    max_audio_seconds: int
    workers: int = 1
    image: str = DEFAULT_IMAGE
    container_variables: Mapping[str, str] = field(default_factory=dict)
    layout: ModelLayout = ModelLayout.ARCHIVE
    alternatives: tuple[str, ...] = ()
    hub: HubModel | None = None
    own: OwnImage | None = None

    def __post_init__(self) -> None:
        self._require_source()
        if self.max_audio_seconds < 1:
            raise ConfigurationError(f"max_audio_seconds is {self.max_audio_seconds}; it must be at least 1; raise it")
        if self.max_audio_seconds > AUDIO_SECONDS:
            raise ConfigurationError(
                f"max_audio_seconds is {self.max_audio_seconds}; no recording may be longer than {AUDIO_SECONDS:.0f}; lower it"
            )
        require_range("number of instance types", len(self.instance_types), 1, MAX_INSTANCE_TYPES)
        if len(set(self.instance_types)) < len(self.instance_types):
            raise ConfigurationError(
                f"instance_type and alternatives are {', '.join(self.instance_types)}; each may be named once; leave one out"
            )
        self._require_variables()
        for instance in self.instances:
            self._require_instance(instance)

    @property
    def instance_types(self) -> tuple[str, ...]:
        return (self.instance_type, *self.alternatives)

    @property
    def instance(self) -> InstanceType:
        return InstanceType.parse(self.instance_type)

    @property
    def instances(self) -> tuple[InstanceType, ...]:
        """In order of preference."""
        return tuple(InstanceType.parse(name) for name in self.instance_types)

    @property
    def needs_release(self) -> bool:
        return self.hub is None and self.own is None

    def _require_source(self) -> None:
        for engine, source in ((HUB_ENGINE, self.hub), (OWN_ENGINE, self.own)):
            if (self.engine == engine) != (source is not None):
                raise ConfigurationError(
                    f"engine is {self.engine!r} and {engine} is {source!r}; set both or neither: "
                    f"engine={engine!r} with {engine}=…, or another engine without it"
                )
        if not self.needs_release and self.layout is not ModelLayout.ARCHIVE:
            raise ConfigurationError(
                f"layout is {self.layout} for the engine {self.engine!r}, which serves no release; leave it at "
                f"{ModelLayout.ARCHIVE}"
            )
        if self.needs_release and self.model not in WHISPER_MODELS:
            raise ConfigurationError(f"model {self.model!r} is no Whisper model; choose one of: {', '.join(WHISPER_MODELS)}")

    def _require_variables(self) -> None:
        for name, value in self.container_variables.items():
            if self.needs_release and name in _SET_HERE:
                raise ConfigurationError(
                    f"container_variables has {name}, which follows from the release and the other settings; leave it out"
                )
            if not _VARIABLE.fullmatch(name) or len(value) > _VARIABLE_CHARS:
                raise ConfigurationError(
                    f"container_variables has {name!r}: {value!r}; a name has letters, digits and _, begins with no digit, and "
                    f"a value has at most {_VARIABLE_CHARS} characters; change it"
                )

    def require_time(self, option: InferenceOption, seconds: int) -> None:
        """seconds: that one recording may take. Raises ConfigurationError where the longest one cannot be done in them."""
        if self.max_audio_seconds > (most := MOST_SPEED * seconds):
            remedy = "or use asynchronous inference" if option is InferenceOption.REAL_TIME else "or raise that time"
            raise ConfigurationError(
                f"max_audio_seconds is {self.max_audio_seconds}; {option} inference has {seconds} s for a recording here, and "
                f"none runs faster than {MOST_SPEED} times real time, so it must be at most {most}; lower it, {remedy}"
            )

    def _require_instance(self, instance: InstanceType) -> None:
        if (self.hardware is Hardware.GPU) != instance.has_gpu:
            raise ConfigurationError(
                f"hardware is {self.hardware}, but {instance.name} has {'a' if instance.has_gpu else 'no'} GPU; "
                f"set hardware to {Hardware.GPU if instance.has_gpu else Hardware.CPU} or choose another instance type"
            )
        if self.needs_release:
            require_workers(self.engine, self.model, instance, self.workers)
        else:
            require_range("workers", self.workers, 1, MAX_WORKERS)
        if instance.has_local_disk != self.instance.has_local_disk:
            raise ConfigurationError(
                f"{self.instance_type} has {'a' if self.instance.has_local_disk else 'no'} disk of its own and "
                f"{instance.name} has {'one' if instance.has_local_disk else 'none'}; one endpoint configuration encrypts "
                "either kind; choose types of the same kind"
            )
