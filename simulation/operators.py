"""Operators: when a queue for dead letters has some, they send them again some hours later, with their own command."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from operations.dead_letters import send_again
from simulation.deliveries import Lambda
from simulation.queues import Queue

_EVERY_SECONDS: Final = 4 * 3600
_PATIENCE_SECONDS: Final = 1800.0


@dataclass
class Operators:
    """moves: from each queue for dead letters to the queue in which its messages belong, each."""

    machines: Lambda
    sqs: Any
    moves: list[tuple[Queue, Queue]]

    def start(self) -> None:
        self.machines.scheduler.after(_EVERY_SECONDS, self._look)

    def _look(self) -> None:
        self.machines.scheduler.after(_EVERY_SECONDS, self._look)
        for dead, alive in self.moves:
            if len(dead):
                self.machines.run("operator", _PATIENCE_SECONDS, self._sending(dead.name, alive.name), lambda _answer: None)

    def _sending(self, dead: str, alive: str) -> Callable[[Any], int]:
        return lambda _context: sum(send_again(self.sqs, dead, alive))
