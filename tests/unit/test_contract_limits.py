"""What AWS would refuse is refused before, with value, limit and remedy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whisperstack_contract.batch_limits import BatchLimits, payload_mb
from whisperstack_contract.inference_options import InferenceOption, file_too_large
from whisperstack_contract.limits import BATCH_PAYLOAD_MIB, MIB, LimitError, require_batch_concurrency


@pytest.mark.parametrize(("transforms", "payload_mb"), [(1, 100), (100, 1), (4, 25), (16, 6)])
def test_a_transform_job_within_the_limit_is_allowed(transforms: int, payload_mb: int):
    require_batch_concurrency(transforms, payload_mb)


@pytest.mark.parametrize(
    ("transforms", "payload_mb", "reason"),
    [
        (5, 25, r"payload_mib 25 times concurrency 5 is 125; SageMaker allows 100; .* concurrency to 4"),
        (2, 51, r"is 102; SageMaker allows 100; .* concurrency to 1"),
        (1, 101, "payload_mib is 101; it must be 1 to 100; larger files go to the asynchronous endpoint"),
        (1, 0, "payload_mib is 0"),
        (0, 1, "concurrency is 0; it must be 1 to 100"),
    ],
)
def test_a_transform_job_beyond_it_is_refused(transforms: int, payload_mb: int, reason: str):
    with pytest.raises(LimitError, match=reason):
        require_batch_concurrency(transforms, payload_mb)


@pytest.mark.parametrize(
    ("option", "limit", "remedy"),
    [
        (InferenceOption.REAL_TIME, r"26214400 \(25 MiB\)", r"asynchronous inference takes up to 1 GiB: upload it"),
        (InferenceOption.BATCH, r"104857600 \(100 MiB\)", r"asynchronous inference takes up to 1 GiB: upload it"),
        (InferenceOption.ASYNCHRONOUS, r"1073741824 \(1 GiB\)", "no inference option takes more than 1 GiB: split or compress"),
    ],
)
def test_a_file_too_large_for_one_option_is_told_which_takes_it(option: InferenceOption, limit: str, remedy: str):
    error = file_too_large(option.payload_bytes + 1, option)

    assert (error.code, error.http_status, error.retryable) == ("file_too_large", 413, False)
    with pytest.raises(
        type(error), match=f"{option.payload_bytes + 1} bytes; the limit of {option} inference is {limit}; {remedy}"
    ):
        raise error


def test_a_file_too_large_for_every_option_must_be_split():
    error = file_too_large(InferenceOption.ASYNCHRONOUS.payload_bytes + 1, InferenceOption.REAL_TIME)

    assert "split or compress" in str(error)


def test_no_option_takes_longer_than_an_hour():
    assert [option.invocation_seconds for option in InferenceOption] == [60, 3600, 3600]


@given(st.integers(1, BATCH_PAYLOAD_MIB * MIB), st.integers(1, BATCH_PAYLOAD_MIB))
def test_what_follows_from_a_recordings_size_is_a_job_that_sagemaker_takes(size_bytes: int, concurrency: int):
    payload = payload_mb(size_bytes)

    require_batch_concurrency(BatchLimits(concurrency=concurrency).concurrency_for(payload), payload)
    # A megabyte may be either, up to the limit itself.
    assert size_bytes <= payload * 1_000_000 or payload == BATCH_PAYLOAD_MIB


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"concurrency": 101}, "concurrency is 101; it must be 1 to 100"),
        ({"payload_mib": 101}, "payload_mib is 101; it must be 1 to 100"),
        ({"shard_mib": 0}, "shard_mib is 0; it must be 1 to"),
    ],
)
def test_batch_limits_that_no_job_can_have_are_refused(limits: dict[str, int], reason: str):
    with pytest.raises(LimitError, match=reason):
        BatchLimits(**limits)


def test_batch_limits_travel_as_json():
    limits = BatchLimits(payload_mib=50, concurrency=4, shard_mib=64)

    assert BatchLimits.from_json(limits.to_json()) == limits
