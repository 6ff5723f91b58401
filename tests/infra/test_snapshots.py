"""One snapshot for each stack, so that a change of a template is seen in the diff that makes it."""

import json
import os
import re
from pathlib import Path

import pytest

SNAPSHOTS = Path(__file__).with_name("snapshots")
UPDATE = "UPDATE_SNAPSHOTS"


def snapshot(template):
    """The resources and outputs; what changes with every line of a function's code is left out."""
    kept = {name: template.body[name] for name in ("Resources", "Outputs") if name in template.body}
    return re.sub(r"\b[0-9a-f]{64}\.zip", "<asset>.zip", json.dumps(kept, indent=1, sort_keys=True)) + "\n"


@pytest.mark.parametrize("stack", ["storage", "operations", "asynchronous", "realtime", "batch", "network"])
def test_templates_are_as_they_were_when_someone_last_looked(syntheses, enclosed, stack):
    path = SNAPSHOTS / f"{stack}.json"
    # dev has no real-time endpoint, and none of the environments has a network of its own.
    where = {"realtime": syntheses["staging"], "network": enclosed}.get(stack, syntheses["dev"])
    seen = snapshot(getattr(where, stack))
    if os.environ.get(UPDATE):
        path.parent.mkdir(exist_ok=True)
        path.write_text(seen)
    expected = json.loads(path.read_text())
    assert json.loads(seen) == expected, f"if this is meant, run 'make snapshots' and read the diff of {path.name}"
