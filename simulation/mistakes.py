"""Tells a function that AWS has let down, which a later try mends, from one with a mistake in its code.

Lambda and its queues make no difference: whatever a function raises, its messages come again. So a mistake would be hidden by
the retry after it, unless it is noticed here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from traceback import extract_tb
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from submit_transcription.submission import ContestedSubmissionError
from transcription_jobs.deliveries import process_deliveries
from transcription_jobs.queues import UnsentError
from transcription_jobs.result_objects import NameContestedError

# AWS refuses or does not answer; or somebody else is at the same job, and a later look finds it quiet.
_NO_MISTAKES: Final = (BotoCoreError, ClientError, ContestedSubmissionError, NameContestedError, UnsentError)


@dataclass
class Mistakes:
    """found: each with its place in the code, once."""

    found: list[str] = field(default_factory=list)

    @contextmanager
    def noticed(self) -> Iterator[None]:
        try:
            yield
        except _NO_MISTAKES:
            raise
        except Exception as error:
            place = extract_tb(error.__traceback__)[-1]
            mistake = f"{type(error).__name__} in {place.name}: {error}"
            if mistake not in self.found:
                self.found.append(mistake)
            raise

    def process_deliveries(self, event: Any, context: Any, handle: Callable[[str], None], logger: Any) -> Any:
        """The functions' own, which reports to the queue whatever `handle` raises."""

        def noticing(body: str) -> None:
            with self.noticed():
                handle(body)

        return process_deliveries(event, context, noticing, logger)
