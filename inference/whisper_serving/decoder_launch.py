"""Starts the decoder under limits. Run as a script, it is a process of its own that becomes the decoder.

    python -I -S decoder_launch.py MEMORY_BYTES CPU_SECONDS PROGRAM ARGUMENT…

The limits are set here, in the new process: `preexec_fn` of subprocess can deadlock in a server with threads, and limits that
the parent sets from outside come after the decoder has begun. Only the standard library: nothing else is on this path.
"""

import os
import resource
import signal
import sys
from typing import Final

# As shells answer for a program that cannot be run. ffmpeg's own codes: 1, or those of its errors (above 128).
EXIT_NOT_STARTED: Final = 127

# Standard input, output and error, the recording, and what the C library opens for a moment.
_OPEN_FILES: Final = 32


def main(arguments: list[str]) -> None:
    memory_bytes, cpu_seconds, *command = arguments
    _limit(resource.RLIMIT_AS, int(memory_bytes))
    _limit(resource.RLIMIT_CPU, int(cpu_seconds))
    # Samples and log leave through pipes, so the decoder has nothing to write anywhere.
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    # Python ignores these two, and a program that is started inherits that: without a reader, the decoder would go on.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execv(command[0], command)  # noqa: S606  # no shell is wanted
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.exit(EXIT_NOT_STARTED)


def _limit(kind: int, value: int) -> None:
    """At most `value`; a lower limit that the container has set stays."""
    _, most = resource.getrlimit(kind)
    if most != resource.RLIM_INFINITY:
        value = min(value, most)
    resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    main(sys.argv[1:])
