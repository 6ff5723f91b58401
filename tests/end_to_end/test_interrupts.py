"""Ctrl-C in any stage of the demo: it says so and leaves nothing running."""

import os
import signal

import psutil
import pytest

from tests.end_to_end.demo_process import STAGES, Demo


@pytest.fixture
def demo():
    demo = Demo("test-interrupts")
    assert demo.processes() == []
    yield demo
    assert demo.processes() == []


@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupt_in_any_stage_leaves_nothing_running(demo, stage, eventually):
    with demo.start() as run:
        for line in run.stdout:
            if line.startswith("…") and stage in line:
                break
        if stage.startswith(("Build", "Synthesize", "Bootstrap", "Deploy", "Publish")):
            eventually(lambda: any("leash.py" in " ".join(child.cmdline()) for child in psutil.Process(run.pid).children()))
        os.killpg(run.pid, signal.SIGINT)
        output = run.stdout.read()
        assert run.wait(timeout=30) == 130, output
    assert "Interrupted; nothing is left running." in output
    assert "Traceback" not in output
