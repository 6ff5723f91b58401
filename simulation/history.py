"""What happened in a world: a digest of all of it, and, of the subjects that someone asks for, the story."""

import hashlib
from dataclasses import dataclass, field
from typing import Final

from simulation.scheduler import EPOCH

_FIRST_LINES: Final = 40
_LAST_LINES: Final = 12


@dataclass
class History:
    """subjects: what to keep the story of: parts of keys, job ids. Empty: of nothing."""

    subjects: tuple[str, ...] = ()
    _hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _story: list[str] = field(default_factory=list)

    def note(self, now: float, who: str, what: str, subject: str, outcome: str) -> None:
        line = f"{now - EPOCH:.3f} {who} {what} {subject} {outcome}\n"
        self._hash.update(line.encode("utf-8", "surrogatepass"))
        if any(wanted in subject for wanted in self.subjects):
            self._story.append(f"{_clock(now)}  {who:<14} {what:<24} {subject}  {outcome}")

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    @property
    def story(self) -> list[str]:
        left_out = len(self._story) - _FIRST_LINES - _LAST_LINES
        if left_out <= 0:
            return self._story
        return [*self._story[:_FIRST_LINES], f"… {left_out} lines left out …", *self._story[-_LAST_LINES:]]


def _clock(now: float) -> str:
    minutes, seconds = divmod(now - EPOCH, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:>3}:{minutes:02}:{seconds:06.3f}"
