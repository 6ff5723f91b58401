"""How long each stage of a job may take, and how often it is tried."""

import json
from dataclasses import asdict, dataclass

from whisperstack_contract.limits import ASYNC_INVOCATION_TIMEOUT_SECONDS, ASYNC_REQUEST_TTL_SECONDS


@dataclass(frozen=True)
class JobTimes:
    """Seconds, unless named otherwise.

    request_ttl: how long SageMaker keeps a request in its queue. invocation_timeout: how long it may then take.
    slack: for the notification, and for clocks that differ.
    intake: until a job that nobody submits is looked after; outlasts a function and a few deliveries.
    look: how often a submitted job's output is looked for, in case that its notification was lost.
    batch: how long a batch may be silent until its jobs are looked after; outlasts any transform job of a sensible size.
    announcing: how long whoever ends a job has for announcing it; longer than any function runs.
    first_retry: the wait after the first failure. retry_factor: by what it grows with each further one.
    attempts: failures after which a job has failed. requeues: requests that may vanish without an answer before it has expired.
    age_limit: of a job, whatever it waits for.
    kept: how long its row is kept after that; None for ever. It outlives the recording, which would be transcribed again.
    """

    request_ttl: int = ASYNC_REQUEST_TTL_SECONDS
    invocation_timeout: int = ASYNC_INVOCATION_TIMEOUT_SECONDS
    slack: int = 900
    intake: int = 1800
    look: int = 1800
    batch: int = 24 * 3600
    announcing: int = 300
    first_retry: int = 120
    retry_factor: int = 6
    attempts: int = 4
    requeues: int = 4
    age_limit: int = 48 * 3600
    kept: int | None = None

    def __post_init__(self) -> None:
        times = {name: value for name, value in asdict(self).items() if (name, value) != ("kept", None)}
        if wrong := {name: value for name, value in times.items() if type(value) is not int or value < 1}:
            raise ValueError(f"job times are {wrong}; each is a whole number of at least 1")

    @property
    def answer(self) -> int:
        """After which a request that SageMaker has taken is lost."""
        return self.request_ttl + self.invocation_timeout + self.slack

    def retry_after(self, failures: int) -> int:
        """How long to wait after that many failures."""
        return int(self.first_retry * self.retry_factor ** (failures - 1))

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "JobTimes":
        return cls(**json.loads(text))
