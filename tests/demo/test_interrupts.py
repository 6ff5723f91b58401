"""Ctrl-C in a stage of each kind of the demo: it says so and leaves nothing running."""

import os
import signal

import psutil
import pytest

from tests.demo.demo_process import STAGES

# What runs in a stage, and the first stage in which it does. The others run the same beside the same, so that an interrupt in
# them would cost a deployment each and find nothing else.
KINDS = {
    "the embedded AWS is starting": "Start the embedded AWS",
    "a module of ours": "Build the model artefact",
    "the CDK, which starts Python and Node": "Synthesize the templates",
    "the CDK, while functions and endpoints start": "Deploy all stacks",
    "our own process alone, while everything else runs": "Upload and transcribe",
}
CHILDREN = {"Build the model artefact", "Synthesize the templates", "Deploy all stacks"}


@pytest.mark.parametrize("stage", KINDS.values(), ids=KINDS)
def test_an_interrupt_leaves_nothing_running_whatever_runs(demo, stage, eventually):
    assert stage in STAGES
    with demo.start() as run:
        for line in run.stdout:
            if line.startswith("…") and stage in line:
                break
        if stage in CHILDREN:
            eventually(lambda: any("leash.py" in " ".join(child.cmdline()) for child in psutil.Process(run.pid).children()))
        os.killpg(run.pid, signal.SIGINT)
        output = run.stdout.read()
        assert run.wait(timeout=30) == 130, output
    assert "Interrupted; nothing is left running." in output
    assert "Traceback" not in output
