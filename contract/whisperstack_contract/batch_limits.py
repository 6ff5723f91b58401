"""What a transform job may be given, and what follows from a recording's size."""

import json
from dataclasses import asdict, dataclass
from typing import Final

from whisperstack_contract.limits import BATCH_PAYLOAD_MIB, MIB, LimitError, require_batch_concurrency

_MB: Final = 1_000_000

# A terabyte: more than a transform job can do in the days that SageMaker gives it.
_MOST_SHARD_MIB: Final = 1024 * 1024


@dataclass(frozen=True)
class BatchLimits:
    """payload_mib: the largest recording. concurrency: requests that an instance gets at a time, where their size allows it.

    shard_mib: recordings that one transform job gets, about. Raises LimitError for values that no transform job can have.
    """

    payload_mib: int = BATCH_PAYLOAD_MIB
    concurrency: int = 1
    shard_mib: int = 512

    def __post_init__(self) -> None:
        # A job with the smallest recordings has the most of them at a time.
        require_batch_concurrency(self.concurrency, 1)
        require_batch_concurrency(1, self.payload_mib)
        if not 1 <= self.shard_mib <= _MOST_SHARD_MIB:
            raise LimitError(f"shard_mib is {self.shard_mib}; it must be 1 to {_MOST_SHARD_MIB}; change it, for example to 512")

    @property
    def payload_bytes(self) -> int:
        return self.payload_mib * MIB

    @property
    def shard_bytes(self) -> int:
        return self.shard_mib * MIB

    def concurrency_for(self, payload_mb: int) -> int:
        """MaxConcurrentTransforms beside a MaxPayloadInMB, so that SageMaker takes the job."""
        return min(self.concurrency, BATCH_PAYLOAD_MIB // payload_mb)

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "BatchLimits":
        return cls(**json.loads(text))


def payload_mb(size_bytes: int) -> int:
    """The least MaxPayloadInMB for a recording, whichever megabyte SageMaker means; for one above its limit, the limit."""
    return min(-(-size_bytes // _MB), BATCH_PAYLOAD_MIB)
