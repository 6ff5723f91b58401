"""What an instance hour costs: a dated table, of which each entry can be overridden in the environment."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_TABLE: Final = Path(__file__).with_name("prices.json")


@dataclass(frozen=True)
class Prices:
    """In USD. as_of: the day on which the table was copied."""

    as_of: str
    region: str
    source: str
    instance_hour: dict[str, float]
    audio_minute: dict[str, float]


def read_prices() -> Prices:
    table: Any = json.loads(_TABLE.read_text())
    return Prices(
        table["as_of"], table["region"], table["source"], table["usd_per_instance_hour"], table["usd_per_audio_minute"]
    )


def instance_price(instance_type: str, override: float | None) -> float | None:
    """USD per hour: `override`, else the table's, else None where neither knows this type."""
    return override if override is not None else read_prices().instance_hour.get(instance_type)
