"""The rules by which the end-to-end tests hold grants against calls."""

import pytest

from tests.end_to_end.grants import Grant, covered_by, is_wider_than_used

BUCKET = "arn:aws:s3:::bucket"


def calls(*keys, role="Reader", action="s3:GetObject"):
    return {Grant(role, action, f"{BUCKET}/{key}") for key in keys}


def grant(pattern):
    return Grant("Reader", "s3:GetObject", f"{BUCKET}/{pattern}")


def test_a_grant_covers_calls_of_its_own_role_and_action_that_its_arn_matches():
    others = calls("raw/a", role="Writer") | calls("raw/a", action="s3:PutObject") | calls("staged/a")
    assert covered_by(grant("raw/*"), calls("raw/a", "raw/b/c") | others) == calls("raw/a", "raw/b/c")
    assert covered_by(grant("versions/*.error.json"), calls("versions/1.error.json", "versions/1.json")) == calls(
        "versions/1.error.json"
    )
    assert covered_by(grant("a.b"), calls("axb")) == set()


@pytest.mark.parametrize(
    ("pattern", "used", "wider"),
    [
        ("raw/*", ["raw/job-1/a", "raw/other/b"], False),
        ("raw/*", ["raw/job-1/a"], True),
        ("raw/*", ["raw/canary/a", "raw/canary/b"], True),
        ("raw/*", ["raw/ab1", "raw/ab2"], False),
        ("raw/*", [], False),
        ("staged/canary", ["staged/canary"], False),
    ],
    ids=["differ at once", "one only", "one folder", "alike by chance", "none, which another rule finds", "no wildcard"],
)
def test_an_arn_is_wider_than_used_where_the_uses_agree_beyond_its_wildcard(pattern, used, wider):
    assert is_wider_than_used(grant(pattern), calls(*used)) is wider


def test_an_action_without_resources_is_never_wider():
    everything = Grant("Reader", "xray:PutTraceSegments", "*")
    assert not is_wider_than_used(everything, {everything})
