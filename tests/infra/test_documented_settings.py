"""The settings that the docs show can be synthesized as they stand."""

import dataclasses
import re
from pathlib import Path

import pytest

from infra import environments, inference_options, instances, operations, served_model
from infra.environments import Environment, find_environment
from tests.infra.synthesized import ROOT, synthesize

COMMIT = ("<commit of 40 hexadecimal digits>", "c" * 40)
FIELDS = {field.name for field in dataclasses.fields(Environment)}


def examples():
    """Each Python block of a page that sets a field of an environment."""
    for page in sorted((ROOT / "docs").glob("*.md")):
        for code in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
            if code.partition(" = ")[0] in FIELDS:
                yield pytest.param(code.replace(*COMMIT), id=f"{page.stem}-{code.partition(' = ')[0]}")


@pytest.mark.parametrize("code", list(examples()))
def test_an_example_is_an_environment(code: str, tmp_path: Path):
    names = {}
    for module in (environments, inference_options, instances, operations, served_model):
        names |= vars(module)
    shown = {}
    exec(code, names, shown)  # noqa: S102 - the pages are ours
    environment = dataclasses.replace(find_environment("local"), name="shown", region="eu-west-1", **shown)
    assert synthesize(environment, tmp_path).storage.resources("AWS::S3::Bucket")


def test_both_pages_with_examples_are_found():
    assert {example.id for example in examples()} >= {
        "serving-stacks-asynchronous",
        "serving-stacks-realtime",
        "operations-operations",
    }
