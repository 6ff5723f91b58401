"""Fixtures that every suite uses."""

import gc
import os
import time
from collections.abc import Callable

import pytest

# moto and the CDK make many objects that stay; looking through them again and again takes an eighth of the tests' time.
gc.set_threshold(100_000, 50, 100)

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
