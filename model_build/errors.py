"""What keeps an artefact from being built or published."""

import signal
from typing import Final

INTERRUPTED: Final = "Interrupted; nothing half-made is left."
# What a shell gives for it.
INTERRUPTED_CODE: Final = 128 + signal.SIGINT


class BuildError(Exception):
    """One sentence for the person at the terminal: what is wrong, with the value, and what to do about it."""
