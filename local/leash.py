"""`python leash.py COMMAND …`: run a program that would outlive its parent, and end it, with all it started, when ours ends.

Standard input is the leash (see local.processes); the program gets an empty one.
"""

import os
import signal
import subprocess
import sys
import threading


def _end_group_with_parent() -> None:
    # Not sys.stdin: its lock would be held when the program has ended and we want to.
    while os.read(0, 1):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_group_with_parent, daemon=True).start()
    sys.exit(subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, check=False).returncode)
