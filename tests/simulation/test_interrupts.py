"""However a simulation ends, its processes end with it."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from local.embedded_aws import PROJECT


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_no_process_outlives_the_simulation(number, eventually):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((".", "contract", "inference", "lambda"))}
    command = [sys.executable, "-m", "simulation", "run", "--seeds", "1000", "--jobs", "2"]
    run = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    workers = eventually(lambda: [each for each in psutil.Process(run.pid).children() if each.num_threads() > 1])
    run.send_signal(number)
    run.wait(timeout=30)
    eventually(lambda: not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers))
