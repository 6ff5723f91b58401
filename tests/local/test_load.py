"""The arithmetic of a load: waves, and what a function's log says of its invocations."""

import pytest

from local.load import LoadResult, LostUploadsError, Wave, median_ms_per_record, wave_sizes

LOG = """{"level": "INFO", "message": "message handled"}
REPORT RequestId: 7c0e Duration: 30.00 ms Records: 3
REPORT RequestId: 7c0f Duration: 40.00 ms Records: 1
{"level": "INFO", "message": "REPORT RequestId: 1 Duration: 9.00 ms Records: 1"}
REPORT RequestId: 7c10 Duration: 200.00 ms Records: 10
"""


@pytest.mark.parametrize("uploads", [10, 11, 19, 10_000])
def test_waves_are_as_equal_as_they_can_be(uploads):
    sizes = wave_sizes(uploads)
    assert (len(sizes), sum(sizes)) == (10, uploads)
    assert max(sizes) - min(sizes) <= 1


def test_an_invocation_counts_by_its_records():
    assert median_ms_per_record(LOG) == 20.0


def test_a_log_without_invocations_is_an_error():
    with pytest.raises(LostUploadsError, match="was not invoked"):
        median_ms_per_record("")


def test_growth_is_that_of_the_last_wave_over_the_first():
    waves = [Wave(10, 2.0, 20.0), Wave(10, 3.0, 25.0)]
    result = LoadResult(waves, 0, {"succeeded": 20}, {"embedded AWS": 200.0})
    assert (result.uploads, result.uploads_per_second, result.submit_growth) == (20, 4.0, 1.25)
