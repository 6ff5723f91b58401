"""Recordings are shared out so that transform jobs of one kind finish together, and SageMaker takes each job."""

from collections import Counter
from statistics import mean

from hypothesis import given
from hypothesis import strategies as st

from bench.planner import measure
from plan_batch.sharding import sorted_on_disk
from whisperstack_contract.batch_limits import BatchLimits, payload_mb
from whisperstack_contract.limits import MIB, require_batch_concurrency

SMALL = BatchLimits(concurrency=4, shard_mib=1)
recordings = st.lists(st.tuples(st.integers(1, 100 * MIB), st.sampled_from(["english", "german"])), max_size=200)


@given(recordings)
def test_every_recording_is_in_one_shard_with_others_of_its_kind_and_room_for_it(sizes: list[tuple[int, str]]):
    known = {f"job {number}": recording for number, recording in enumerate(sizes)}
    with sorted_on_disk(SMALL) as shards:
        shards.add((job, size, options) for job, (size, options) in known.items())
        shards.place()
        placed = {shard: shards.jobs(shard) for shard in shards}
        assert shards.totals() == (len(placed), len(known))

    assert Counter(job for jobs in placed.values() for job in jobs) == Counter(known.keys())
    assert [shard.number for shard in placed] == list(range(len(placed)))
    for shard, jobs in placed.items():
        assert {known[job][1] for job in jobs} == {shard.options}
        assert (shard.files, shard.bytes) == (len(jobs), sum(known[job][0] for job in jobs))
        assert shard.payload_mb is not None
        assert shard.concurrency is not None
        assert all(payload_mb(known[job][0]) <= shard.payload_mb for job in jobs)
        # No recording waits for a slot that it could have had: who fits four at a time is not with those that fit one.
        assert all(SMALL.concurrency_for(payload_mb(known[job][0])) == shard.concurrency for job in jobs)
        require_batch_concurrency(shard.concurrency, shard.payload_mb)


@given(recordings)
def test_shards_of_one_kind_are_within_a_tenth_of_each_other(sizes: list[tuple[int, str]]):
    with sorted_on_disk(SMALL) as shards:
        shards.add((f"job {number}", size, options) for number, (size, options) in enumerate(sizes))
        shards.place()
        placed = list(shards)

    for kind in {(shard.options, shard.concurrency) for shard in placed}:
        loads = [shard.bytes for shard in placed if (shard.options, shard.concurrency) == kind]
        assert max(loads) - min(loads) <= mean(loads) / 10


def test_what_is_stored_is_collected_without_a_job():
    with sorted_on_disk(SMALL) as shards:
        shards.add_stored([("a", 1), ("b", 2)])
        shards.add([("c", 3, "english")])
        shards.place()
        stored, transcribed = shards

        assert (shards.jobs(stored), stored.payload_mb, stored.concurrency) == (["a", "b"], None, None)
        assert (shards.jobs(transcribed), transcribed.payload_mb) == (["c"], 1)


def test_tiny_recordings_are_spread_by_their_number():
    with sorted_on_disk(BatchLimits()) as shards:
        shards.add((f"job {number}", 1000, "english") for number in range(12_000))

        shards.place()
        assert [shard.files for shard in shards] == [4000, 4000, 4000]


def test_the_rarest_options_get_no_job_of_their_own():
    with sorted_on_disk(SMALL) as shards:
        shards.add([("a", 500, "common"), ("b", 500, "common"), ("c", 900, "large"), ("d", 10, "rare"), ("e", 20, "rarer")])
        shards.add_stored([("f", 1)])

        assert sorted(shards.take_rarest_options(2)) == ["d", "e"]
        shards.place()
        assert sorted(job for shard in shards for job in shards.jobs(shard)) == ["a", "b", "c", "f"]


def test_planning_needs_no_more_memory_for_more_recordings():
    """The short form of `make bench-planner`."""
    few, many = measure(2_000), measure(30_000)

    # The lines of 28,000 recordings would take about 15 MB.
    assert many.peak_mb - few.peak_mb < 7
    assert many.shards > few.shards
    assert many.spread <= 0.1
