"""Child processes that cannot outlive their parent.

A child holds the read end of a pipe as its standard input and ends when the pipe does. The system closes the pipe however the
parent ends, also by SIGKILL, so no process is left behind.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

# What a child gets to end by itself before it is killed. None of ours has anything to save.
_GRACE_SECONDS: Final = 5.0


class ChildProcess:
    """One child in a session of its own, so that its whole process group can be ended.

    log: where its standard error goes, and its standard output too unless `answers` asks for a pipe.
    """

    def __init__(self, args: Sequence[str], env: Mapping[str, str], log: Path, cwd: Path, *, answers: bool = False) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as sink:
            self._process = subprocess.Popen(
                list(args),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if answers else sink,
                stderr=sink,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        self.log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def requests(self) -> IO[bytes]:
        return _present(self._process.stdin)

    @property
    def answers(self) -> IO[bytes]:
        return _present(self._process.stdout)

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def wait(self, timeout_seconds: float | None = None) -> int:
        """Raises TimeoutError."""
        try:
            return self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"process {self.pid} still runs after {timeout_seconds:.0f} s") from error

    def stop(self, grace_seconds: float = _GRACE_SECONDS) -> None:
        """End the child and its group; returns when they are gone."""
        with suppress(BrokenPipeError):  # it has ended already, with a request unread
            self.requests.close()
        try:
            with suppress(TimeoutError):  # killed below
                self.wait(grace_seconds)
        finally:
            self.kill()

    def kill(self) -> None:
        with suppress(ProcessLookupError):  # the group is gone already
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


def end_with_parent(shutdown: Callable[[], None]) -> None:
    """Call `shutdown`, then end this process, when the parent closes our standard input or ends itself."""

    def wait_for_end() -> None:
        while os.read(0, 1):
            pass
        try:
            shutdown()
        finally:
            os._exit(0)

    threading.Thread(target=wait_for_end, name="end-with-parent", daemon=True).start()


def _present(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("this child was started without that pipe; start it with answers=True")
    return pipe
