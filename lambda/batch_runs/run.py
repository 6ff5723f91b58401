"""One execution of a batch: which recordings it is about, and how all that belongs to it is named."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from whisperstack_contract import keys

# What is tried in transform jobs; what is left after that goes to the asynchronous pipeline.
ROUNDS: Final = 2

_PREFIX_BYTES: Final = 900
_JOB_TOKEN_CHARS: Final = 10


class BatchInputError(ValueError):
    """The execution was started with something that is no batch."""


@dataclass(frozen=True)
class Run:
    """prefix: below which the recordings lie, ending in a slash. execution: the ARN of the state machine's execution."""

    prefix: str
    execution: str

    @property
    def token(self) -> str:
        """Stands for the execution wherever an ARN does not fit."""
        return _token(self.execution)

    def work_key(self, name: str) -> str:
        """Of a file in which the functions note something for each other, in the audio bucket."""
        return f"{keys.BATCH_WORK_PREFIX}{self.token}/{name}"

    def transform_jobs_of_all(self, job_prefix: str) -> str:
        """What the names of this batch's transform jobs begin with, whichever execution began them."""
        return f"{job_prefix}-{_token(self.prefix)[:_JOB_TOKEN_CHARS]}-"

    def transform_job(self, job_prefix: str, round_number: int, shard: int) -> str:
        """What the names of one shard's transform jobs begin with: at most 53 of 63 characters."""
        return f"{self.transform_jobs_of_all(job_prefix)}{self.token[:_JOB_TOKEN_CHARS]}-{round_number}-{shard:05d}"


def prefix_of(started_with: Mapping[str, Any]) -> str:
    """What an execution was started for: {"prefix": …}, or {"start_key": …} of a start marker. Raises BatchInputError."""
    prefix, start_key = started_with.get("prefix"), started_with.get("start_key")
    if isinstance(start_key, str) and keys.is_start_marker(start_key):
        prefix = start_key.removesuffix(keys.START_MARKER)
    if not isinstance(prefix, str):
        raise BatchInputError(
            f"the execution's input has the fields {sorted(started_with)}; "
            'start it with {"prefix": "batch/<run>/"}, or by an object batch/<run>/_START'
        )
    if not prefix.endswith("/") or not prefix.startswith(keys.UPLOAD_PREFIXES):
        raise BatchInputError(
            f"prefix is {prefix!r}; it must lie below one of {', '.join(keys.UPLOAD_PREFIXES)} and end in a slash, "
            "such as batch/monday/"
        )
    if len(prefix.encode()) > _PREFIX_BYTES:
        raise BatchInputError(
            f"prefix has {len(prefix.encode())} bytes; the limit is {_PREFIX_BYTES}; use a shorter folder name"
        )
    return prefix


def _token(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
