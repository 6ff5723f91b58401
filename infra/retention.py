"""How long objects are kept."""

from dataclasses import dataclass

from aws_cdk import Duration

from infra.constructs.work_queue import DEAD_LETTERS_FOR
from infra.errors import require_range
from infra.settings import Settings

# What a message in a dead-letter queue speaks of must still be there when someone sends it again on its last day.
_LEAST_INTERMEDIATE_DAYS = int(DEAD_LETTERS_FOR.to_days()) + 1
_MOST_DAYS = 3653

# S3 expires objects at the midnight after, and removes what it has hidden a day later. Source: S3 user guide, "Expiring
# objects".
_EXPIRY_LAG_DAYS = 3


@dataclass(frozen=True)
class RetentionSettings(Settings):
    """recordings_days: what users uploaded; None keeps it until it is deleted. transcripts_days: what they read, likewise.

    intermediate_days: staged copies and the endpoint's raw output. captured_days: requests that a real-time endpoint captures.
    access_log_days: who has read or written what in the buckets.
    """

    recordings_days: int | None = None
    transcripts_days: int | None = None
    intermediate_days: int = _LEAST_INTERMEDIATE_DAYS
    access_log_days: int = 90
    captured_days: int = 30

    def __post_init__(self) -> None:
        for name in ("recordings_days", "transcripts_days"):
            if (days := getattr(self, name)) is not None:
                require_range(name, days, 1, _MOST_DAYS)
        require_range("intermediate_days", self.intermediate_days, _LEAST_INTERMEDIATE_DAYS, 365)
        require_range("access_log_days", self.access_log_days, 1, _MOST_DAYS)
        require_range("captured_days", self.captured_days, 1, 365)

    @property
    def recordings_for(self) -> Duration | None:
        return _duration(self.recordings_days)

    @property
    def transcripts_for(self) -> Duration | None:
        return _duration(self.transcripts_days)

    @property
    def intermediate_for(self) -> Duration:
        return Duration.days(self.intermediate_days)

    @property
    def captured_for(self) -> Duration:
        return Duration.days(self.captured_days)

    @property
    def row_seconds(self) -> int | None:
        """Of a job that has ended: until neither recording nor transcript is there. None where one of them is kept."""
        if self.recordings_days is None or self.transcripts_days is None:
            return None
        return int(Duration.days(max(self.recordings_days, self.transcripts_days) + _EXPIRY_LAG_DAYS).to_seconds())

    @property
    def access_logs_for(self) -> Duration:
        return Duration.days(self.access_log_days)


def _duration(days: int | None) -> Duration | None:
    return None if days is None else Duration.days(days)
