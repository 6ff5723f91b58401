"""No process outlives the one that started it, however that one ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from local.commands import CommandError, run
from local.processes import ChildProcess

PROJECT = Path(__file__).parents[2]

PARENT = """
import sys
from pathlib import Path
from local.processes import ChildProcess
leash = str(Path("local/leash.py").resolve())
child = ChildProcess([sys.executable, leash, "sleep", "600"], {}, Path(sys.argv[1]), Path.cwd())
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent(tmp_path, eventually, number):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log")], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    child = psutil.Process(int(parent.stdout.readline()))
    family = eventually(lambda: child.children())
    os.kill(parent.pid, number)
    parent.communicate()
    eventually(lambda: not any(process.is_running() for process in [child, *family]))


def test_stop_ends_a_child_that_does_not_listen(tmp_path):
    child = ChildProcess([sys.executable, "-c", "import time; time.sleep(600)"], {}, tmp_path / "log", tmp_path)
    child.stop(grace_seconds=0.1)
    assert child.exit_code() == -signal.SIGKILL


def test_a_failed_command_shows_the_end_of_its_own_output(tmp_path):
    log = tmp_path / "log"
    log.write_text("from an earlier command\n")
    with pytest.raises(CommandError, match="ended with 3") as raised:
        run([sys.executable, "-c", "print('the reason'); raise SystemExit(3)"], {}, log)
    assert "the reason" in str(raised.value)
    assert "earlier" not in str(raised.value)
