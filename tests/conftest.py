"""Fixtures that every suite uses."""

import os
import time
from collections.abc import Callable

import pytest

# A developer's own account must not come into any test.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]


@pytest.fixture(scope="session")
def eventually() -> Callable[..., object]:
    """Poll until a condition holds, or fail with what was last seen."""

    def wait(condition: Callable[[], object], *, seconds: float = 30.0) -> object:
        deadline = time.monotonic() + seconds
        while not (seen := condition()):
            assert time.monotonic() < deadline, f"not within {seconds} s; last seen: {seen!r}"
            time.sleep(0.05)
        return seen

    return wait
