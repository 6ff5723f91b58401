"""The demo, under a name of each suite's own, so that suites can run side by side."""

import pytest

from tests.demo.demo_process import Demo


@pytest.fixture
def demo(request):
    """Nothing of it runs before a test, or after it."""
    demo = Demo(request.path.stem.replace("_", "-"))
    assert demo.processes() == []
    yield demo
    assert demo.processes() == []
