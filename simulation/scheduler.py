"""Virtual time, and processes that take turns in it.

Everything happens at a moment of a heap; nothing waits for real. A process is a greenlet that runs until it calls AWS, sleeps
there, and is overtaken by whatever comes first: so synchronous code of several functions is interleaved at each of its calls.
"""

import heapq
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from greenlet import getcurrent, greenlet

# Every world begins here; only the day's date would change if it were another.
EPOCH: Final = datetime(2026, 11, 24, tzinfo=UTC).timestamp()


class Crash(BaseException):
    """The process dies: nothing in it can catch that, and whatever it still tries dies too."""


class Process:
    """One run of a function. skew: seconds by which its clock is ahead. dies_at: when its time is up.

    interrupted: hears why, when the process dies, or a call of its fails or must be repeated.
    """

    def __init__(self, scheduler: "Scheduler", name: str, skew: float, timeout: float) -> None:
        self._scheduler = scheduler
        self.name = name
        self.skew = skew
        self.dies_at = scheduler.now + timeout
        self.is_dead = False
        self.interrupted: Callable[[str], None] = lambda _reason: None
        self._greenlet: greenlet | None = None

    def clock(self) -> datetime:
        return datetime.fromtimestamp(self._scheduler.now + self.skew, UTC)

    def remaining_seconds(self) -> float:
        return self.dies_at - self._scheduler.now

    def start(self, run: Callable[[], None]) -> None:
        self._greenlet = greenlet(run)
        self._greenlet.process = self
        self._greenlet.switch()

    def sleep(self, seconds: float) -> None:
        """Others go on meanwhile. Raises Crash where the process is dead, or dies before it has slept enough."""
        if self.is_dead:
            raise Crash
        until = self._scheduler.now + seconds
        if until >= self.dies_at:
            until = self.dies_at
            self._die("its time was up")
        if not self._scheduler.skip_to(until):
            current: Any = self._greenlet
            self._scheduler.at(until, current.switch)
            self._scheduler.hub.switch()
        if self.is_dead:
            raise Crash

    def crash(self) -> None:
        self._die("it crashed")
        raise Crash

    def _die(self, reason: str) -> None:
        self.is_dead = True
        self.interrupted(reason)


class Scheduler:
    """now: seconds since 1970."""

    def __init__(self) -> None:
        self.now = EPOCH
        self.hub: greenlet = getcurrent()
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._number = 0
        self._end = EPOCH

    def at(self, when: float, action: Callable[[], object]) -> None:
        """In the order of time, and at one moment in the order of asking."""
        self._number += 1
        heapq.heappush(self._events, (max(when, self.now), self._number, action))

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        self.at(self.now + seconds, action)

    def skip_to(self, when: float) -> bool:
        """Lets the time pass at once, if nothing else happens until then."""
        if when > self._end or (self._events and self._events[0][0] <= when):
            return False
        self.now = when
        return True

    def run(self, until: float) -> None:
        self._end = until
        while self._events and self._events[0][0] <= until:
            self.now, _, action = heapq.heappop(self._events)
            action()
        self.now = max(self.now, until)


def current_process() -> Process:
    """The process that is running. Raises AttributeError outside of one."""
    process: Process = getcurrent().process
    return process
