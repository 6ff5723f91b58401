"""How many examples each test makes up: few in `make test`, as many as asked for in `make fuzz`."""

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "200"))


def fuzzed(share: float = 1.0) -> Callable[[Any], Any]:
    """share: of the examples, for what takes longer."""
    # How long an example takes says more of the machine than of the code.
    return settings(
        max_examples=max(1, round(_EXAMPLES * share)),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


def damaged(original: str) -> st.SearchStrategy[str]:
    """The text with a few places overwritten, removed or doubled."""
    spans = st.tuples(
        st.integers(0, len(original)), st.integers(0, 6), st.text(max_size=4) | st.sampled_from(['"', "\\ud800", "\0", "]"])
    )
    return st.lists(spans, min_size=1, max_size=4).map(lambda changes: _apply(original, changes))


def _apply(text: str, changes: list[tuple[int, int, str]]) -> str:
    for start, length, instead in changes:
        text = text[:start] + instead + text[start + length :]
    return text
