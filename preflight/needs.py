"""What an environment needs of its account, as plain values."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from infra.environments import Environment
from infra.images import ServingImage, find_image
from infra.inference_options import AsynchronousSettings, BatchSettings, RealtimeSettings
from infra.served_model import OwnImage, ServedModel

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
    """account, region: None where the environment leaves the choice to the credentials.

    images, own_images: those of the table, and those named in the environment. artefacts: engine and model of each;
    unpacked: of those that an endpoint reads as files.
    """

    environment: str
    account: str | None
    region: str | None
    permissions_boundary: str | None
    instances: tuple[Instances, ...]
    images: tuple[ServingImage, ...]
    own_images: tuple[OwnImage, ...]
    artefacts: tuple[tuple[str, str], ...]
    unpacked: tuple[tuple[str, str], ...] = ()
    retain_data: bool = False
    alarm_email: str | None = None
    monthly_budget_usd: float | None = None
    runbook_url: str = ""

    @classmethod
    def of(cls, environment: Environment) -> "Needs":
        """Raises ConfigurationError for an image that the table does not have."""
        options = environment.options.values()
        own = [option.own for option in options if option.own is not None]
        images = [find_image(option.image, option.engine, option.hardware) for option in options if option.own is None]
        return cls(
            environment=environment.name,
            account=environment.account,
            region=environment.region,
            permissions_boundary=environment.governance.permissions_boundary,
            instances=tuple(instances for option in options for instances in _instances(option)),
            # Options may share an image.
            images=tuple({(image.repository, image.tag): image for image in images}.values()),
            own_images=tuple(dict.fromkeys(own)),
            artefacts=environment.artefacts,
            unpacked=environment.unpacked,
            retain_data=environment.retain_data,
            alarm_email=environment.operations.alarm_email,
            monthly_budget_usd=environment.operations.monthly_budget_usd,
            runbook_url=environment.operations.runbook_url,
        )


def _instances(option: ServedModel) -> list[Instances]:
    """Of every type that the option may run on, in each case as many as it may have."""
    match option:
        case BatchSettings():
            use, count = Use.TRANSFORM, option.instances_per_job
        case AsynchronousSettings():
            # An update starts with one instance beside the old ones.
            use, count = Use.ENDPOINT, option.scaling.max_instances + 1
        case RealtimeSettings():
            # An update starts as many as there are.
            use, count = Use.ENDPOINT, 2 * option.scaling.max_instances
        case _:
            raise TypeError(f"{type(option).__name__} is no inference option that the preflight knows; add it there")
    return [Instances(name, use, count) for name in option.instance_types]
