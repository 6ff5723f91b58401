"""Who is told, and from what on."""

import re
from dataclasses import dataclass
from typing import Final

from infra.errors import ConfigurationError, require_range
from infra.settings import Settings

# Only its form: whether somebody reads it, the confirmation shows.
_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@.]+(\.[^\s@.]+)+")

_MOST_HOURS: Final = 24 * 100


@dataclass(frozen=True)
class OperationsSettings(Settings):
    """alarm_email: who hears of alarms, once they have confirmed the subscription; None leaves subscribing to others.

    runbook_url: where docs/operations.md can be read; alarms link to its sections.
    monthly_budget_usd: a budget tells, and stops nothing. None makes no budget.
    oldest_request_minutes: how long a recording may wait before someone should look.
    instance_hours_a_day: of one endpoint, above which an alarm tells. enforce_instance_hours: takes it to its
    min_instances then, together with what runs on the others, until midnight UTC.
    instance_price_usd: per hour, in place of the one in infra/prices.json.
    """

    alarm_email: str | None = None
    runbook_url: str = "docs/operations.md"
    monthly_budget_usd: float | None = None
    oldest_request_minutes: int = 120
    instance_hours_a_day: float = 24
    enforce_instance_hours: bool = False
    instance_price_usd: float | None = None

    def __post_init__(self) -> None:
        if self.alarm_email is not None and not _EMAIL.fullmatch(self.alarm_email):
            raise ConfigurationError(
                f"alarm_email is {self.alarm_email!r}; it must be an e-mail address, such as "
                "'oncall@example.com'; correct it, or set None"
            )
        if self.monthly_budget_usd is not None:
            require_range("monthly_budget_usd", self.monthly_budget_usd, 1, 10_000_000)
        # A request expires after six hours in the queue: an alarm after that would tell of what is gone.
        require_range("oldest_request_minutes", self.oldest_request_minutes, 5, 350)
        require_range("instance_hours_a_day", self.instance_hours_a_day, 1, _MOST_HOURS)
        if self.instance_price_usd is not None:
            require_range("instance_price_usd", self.instance_price_usd, 0, 1000)
