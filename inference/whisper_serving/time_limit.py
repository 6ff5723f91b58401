"""Ends work on a request whose time is over, so that the worker is free for others: nobody waits for the answer any more."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from whisperstack_contract.errors import InferenceTimedOutError

# (when it is over, by time.monotonic; of how many seconds). None where nobody waits for so short a time.
_limit: ContextVar[tuple[float, float] | None] = ContextVar("time limit", default=None)


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """For `check_time` within. None for no limit."""
    token = _limit.set(None if seconds is None else (time.monotonic() + seconds, seconds))
    try:
        yield
    finally:
        _limit.reset(token)


def check_time() -> None:
    """Raises InferenceTimedOutError where the time is over. Asked before each window, of whatever engine."""
    limit = _limit.get()
    if limit is not None and time.monotonic() > limit[0]:
        raise InferenceTimedOutError(
            f"transcribing takes longer than the {limit[1]:g} s that real-time inference has for an answer; use asynchronous "
            f"inference, a shorter recording, or neither beam_size nor word_timestamps"
        )
