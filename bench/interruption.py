"""A measurement that is told to end goes as after Ctrl-C."""

import signal
import sys


def end_on_sigterm() -> None:
    """With temporary folders removed and processes of its own ended."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
