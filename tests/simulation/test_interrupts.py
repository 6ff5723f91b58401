"""However a simulation ends, its processes end with it."""

import os
import re
import signal
import subprocess
import sys

import psutil
import pytest

from local.embedded_aws import PROJECT


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_no_process_outlives_the_simulation(number, eventually):
    environment = {**os.environ, "PYTHONPATH": ""}
    command = [sys.executable, "-m", "simulation", "run", "--seeds", "1000", "--jobs", "2"]
    run = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    workers = eventually(lambda: [each for each in psutil.Process(run.pid).children() if each.num_threads() > 1])
    run.send_signal(number)
    told, _ = run.communicate(timeout=30)
    if number == signal.SIGINT:
        assert run.returncode == 130
        assert re.search(r"Interrupted after \d+ of 1,000 worlds and 0 of 6 mutants; 0 worlds broke a rule", told), told
    eventually(lambda: not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers))
