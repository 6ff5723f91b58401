"""What an environment needs of its account, as plain values."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from infra.environments import Environment
from infra.images import ServingImage, find_image

ROOT = Path(__file__).resolve().parents[1]


class Use(StrEnum):
    """What an instance is for, as the names of SageMaker's quotas say it."""

    ENDPOINT = "endpoint usage"
    TRANSFORM = "transform job usage"


@dataclass(frozen=True)
class Instances:
    """count: the most that run at a time, those of an update included."""

    type: str
    use: Use
    count: int


@dataclass(frozen=True)
class Needs:
    """account, region: None where the environment leaves the choice to the credentials. artefacts: engine and model of each."""

    environment: str
    account: str | None
    region: str | None
    instances: tuple[Instances, ...]
    images: tuple[ServingImage, ...]
    artefacts: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, environment: Environment) -> "Needs":
        """Raises ConfigurationError for an image that the table does not have."""
        settings = environment.asynchronous
        image = find_image(settings.image, settings.engine, settings.hardware)
        # During an update one new instance stands beside the old ones.
        instances = Instances(settings.instance_type, Use.ENDPOINT, settings.scaling.max_instances + 1)
        return cls(
            environment=environment.name,
            account=environment.account,
            region=environment.region,
            instances=(instances,),
            images=(image,),
            artefacts=((settings.engine, settings.model),),
        )
