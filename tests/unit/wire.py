"""The wire between the functions and AWS: what goes over it, and a place to cut it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.client import BaseClient


class Crash(BaseException):
    """The process dies: nothing in it can catch that, and its messages are delivered again."""


class Wire:
    """calls: (operation, parameters) of the functions' own calls, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._listening = False
        self._interruption: Callable[[str, dict[str, Any]], None] | None = None
        make_call = BaseClient._make_api_call

        def observed(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
            if self._listening:
                self._interrupt(operation, parameters)
                self.calls.append((operation, parameters))
            return make_call(client, operation, parameters)

        monkeypatch.setattr(BaseClient, "_make_api_call", observed)

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.calls]

    def parameters(self, operation: str) -> dict[str, Any]:
        """Of the only call of this operation."""
        (parameters,) = [parameters for name, parameters in self.calls if name == operation]
        return parameters

    @contextmanager
    def listening(self) -> Iterator[None]:
        before, self._listening = self._listening, True
        try:
            yield
        finally:
            self._listening = before

    def crash_before_call(self, number: int) -> None:
        """Once, before the number-th call from now, counted from 0."""
        end = len(self.calls) + number

        def crash(_operation: str, _parameters: dict[str, Any]) -> None:
            if len(self.calls) >= end:
                self._interruption = None
                raise Crash

        self._interruption = crash

    def die_before_call(self, number: int) -> None:
        """Like crash_before_call, but in every thread: no call gets through until `revive`."""
        end = len(self.calls) + number

        def crash(_operation: str, _parameters: dict[str, Any]) -> None:
            if len(self.calls) >= end:
                raise Crash

        self._interruption = crash

    def revive(self) -> None:
        self._interruption = None

    def run_before_call(self, number: int, action: Callable[[], object]) -> None:
        """Runs `action` once, before the number-th call from now, counted from 0."""
        end = len(self.calls) + number

        def run(_operation: str, _parameters: dict[str, Any]) -> None:
            if len(self.calls) >= end:
                self._interruption = None
                action()

        self._interruption = run

    def crash_before(self, operation: str) -> None:
        """Once, before the next call of that operation."""

        def crash(called: str, _parameters: dict[str, Any]) -> None:
            if called == operation:
                self._interruption = None
                raise Crash

        self._interruption = crash

    def run_before_state(self, state: str, action: Callable[[], object]) -> None:
        """Runs `action` once, just before a row is changed to `state`: another process is that much faster."""

        def run(_operation: str, parameters: dict[str, Any]) -> None:
            if parameters.get("ExpressionAttributeValues", {}).get(":state") == {"S": state}:
                self._interruption = None
                action()

        self._interruption = run

    def _interrupt(self, operation: str, parameters: dict[str, Any]) -> None:
        if self._interruption:
            self._interruption(operation, parameters)
