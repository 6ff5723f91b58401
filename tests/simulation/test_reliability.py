"""docs/reliability.md tells of every fault that is simulated, and of tests that exist."""

import re
from pathlib import Path

from simulation.faults import Fault
from simulation.reliability import ANSWERS

_TESTS = Path(__file__).parents[1]


def test_every_fault_has_its_answer():
    assert list(ANSWERS) == list(Fault)


def test_every_test_that_is_named_exists():
    defined = {name for path in _TESTS.rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)}
    assert {answer.test for answer in ANSWERS.values()} <= defined
