"""What one transcript cost."""

import json
from dataclasses import asdict, dataclass
from decimal import Decimal

from whisperstack_contract.transcript import Transcript


@dataclass(frozen=True)
class Instances:
    """What an endpoint runs on. workers: requests that an instance works on at a time, which share its price.

    usd_per_hour: of one instance, None where no price is known; prices_as_of: the day it was copied.
    """

    instance_type: str
    workers: int
    usd_per_hour: float | None
    prices_as_of: str

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Instances":
        return cls(**json.loads(text))


@dataclass(frozen=True)
class CostReceipt:
    """audio_seconds: as decoded. processing_seconds: decoding and inference, not the wait for either nor an instance's idling.

    usd: what that time of an instance costs; None where no price is known.
    """

    audio_seconds: Decimal
    processing_seconds: Decimal
    instance_type: str
    usd: Decimal | None
    prices_as_of: str


def receipt_of(transcript: Transcript, instances: Instances) -> CostReceipt:
    provenance = transcript.whisperstack
    processing = sum(provenance.timings.values())
    usd = None if instances.usd_per_hour is None else instances.usd_per_hour * processing / 3600 / instances.workers
    return CostReceipt(
        audio_seconds=_rounded(provenance.audio.decoded_seconds, 3),
        processing_seconds=_rounded(processing, 3),
        instance_type=instances.instance_type,
        usd=None if usd is None else _rounded(usd, 8),
        prices_as_of=instances.prices_as_of,
    )


def _rounded(value: float, places: int) -> Decimal:
    """A number as tables hold it. Negative ones, which a broken model could report, count as none."""
    return Decimal(str(round(max(value, 0.0), places)))
