"""Job ids and object keys: stable, apart from each other, and within AWS's limits."""

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.unit.strange_keys import STRANGE_KEYS
from whisperstack_contract import keys
from whisperstack_contract.jobs import (
    END_STATES,
    TRANSITIONS,
    JobState,
    SourceVersion,
    inference_id,
    job_id,
    parse_inference_id,
    require_transition,
)
from whisperstack_contract.limits import INFERENCE_ID_CHARS, S3_KEY_BYTES
from whisperstack_contract.subtitles import RENDERERS

# Few characters, so that fields that differ only in where one ends and the next begins are common.
short = st.text("ab\0:/1é", max_size=4)
identities = st.tuples(short, short, short, st.integers(0, 12))

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.builds(
    lambda letter, bytes_: letter * (bytes_ // len(letter.encode())),
    st.sampled_from("aé会🎙"),
    st.integers(980, S3_KEY_BYTES - len(keys.INCOMING_PREFIX)),
)
# Names that are made to be mistaken for each other.
similar_names = st.builds(
    lambda name, suffixes: ".".join((name, *suffixes)),
    st.sampled_from(["", "a", "a/b"]) | names,
    st.lists(st.sampled_from([*RENDERERS, "error", keys.ERROR_SUFFIX]), max_size=2),
).filter(lambda name: len(name.encode()) <= S3_KEY_BYTES - len(keys.INCOMING_PREFIX))


def _job(identity: tuple[str, str, str, int]) -> str:
    *source, run = identity
    return job_id(SourceVersion(*source), run)


prefixes = st.sampled_from(keys.UPLOAD_PREFIXES)
# An upload of one kind that is named after the other's prefix.
uploads = st.builds(str.__add__, prefixes, similar_names | st.builds(str.__add__, prefixes, similar_names)).filter(
    lambda key: len(key.encode()) <= S3_KEY_BYTES
)


def _results(upload: str) -> list[str]:
    return [*(keys.transcript_key(upload, suffix) for suffix in RENDERERS), keys.error_key(upload)]


@given(identities, identities)
def test_different_sources_or_runs_are_different_jobs(one, other):
    assert (_job(one) == _job(other)) == (one == other)


def test_a_job_id_never_changes():
    """Rows of former releases are found by it."""
    source = SourceVersion("audio", "incoming/Grüße 1.mp3", "v1")
    assert job_id(source) == "m63wy63bksiuutlie3fgpuyvzh724qm67salt6mfrm4gp4pknwlq"
    assert job_id(source, run=1) != job_id(source)


@given(identities)
def test_a_job_id_fits_everywhere_it_is_used(identity):
    job = _job(identity)

    assert re.fullmatch("[a-z2-7]{52}", job)
    assert len(inference_id(job, 9999)) <= INFERENCE_ID_CHARS
    assert len(f"s3://{'b' * 63}/{keys.staged_key(job)}") <= 1024


@given(identities, st.integers(1, 9999))
def test_an_inference_id_gives_back_job_and_attempt(identity, attempt: int):
    assert parse_inference_id(inference_id(_job(identity), attempt)) == (_job(identity), attempt)


@given(st.text())
def test_other_inference_ids_are_not_ours(text: str):
    assume(not re.match("[a-z2-7]{52}-", text))
    assert parse_inference_id(text) is None


@pytest.mark.parametrize("tail", ["", "-", "-0", "-01", "--1", "-1 ", "-1\n", "-١", "-10000", "1-1"])
def test_what_only_resembles_our_inference_ids_is_not_ours(tail: str):
    assert parse_inference_id("a" * 52 + tail) is None


@given(uploads, uploads)
@example("incoming/batch/a/b.mp3", "batch/a/b.mp3")
@example("incoming/batch/" + "x" * 1000, "batch/" + "x" * 1000)
@example("incoming/" + "x" * 1010, "batch/" + "x" * 1010)
def test_no_two_uploads_share_a_result(one: str, other: str):
    assume(one != other)
    assert not set(_results(one)) & set(_results(other))


@given(uploads)
def test_the_results_of_one_upload_are_apart_and_fit(upload: str):
    results = _results(upload)

    assert len(set(results)) == len(results)
    assert all(len(key.encode()) <= S3_KEY_BYTES for key in results)


@given(prefixes, names)
def test_all_results_of_an_upload_are_named_alike(prefix: str, name: str):
    hashed = [key.split("/")[0].endswith("-by-hash") for key in _results(prefix + name)]

    assert len(set(hashed)) == 1
    assert hashed[0] or all(name in key for key in _results(prefix + name))


@given(uploads)
def test_results_stay_in_the_folders_that_hold_nothing_else(upload: str):
    folders = {key.partition("/")[0] for key in _results(upload)}

    named = {"batch-transcripts", "batch-errors"} if upload.startswith("batch/") else {"transcripts", "errors"}
    assert folders in (named, {"transcripts-by-hash", "errors-by-hash"})


@given(identities, st.text("0123456789abcdef", min_size=16, max_size=16), st.integers(1, 9))
def test_no_batch_writes_where_a_job_of_the_endpoint_does(identity, execution: str, round_number: int):
    job = _job(identity)

    assert keys.batch_output_key(execution, round_number, job).startswith(keys.batch_output_prefix(execution, round_number))
    assert not keys.batch_output_prefix(execution, round_number).startswith(f"{keys.RAW_PREFIX}{job}")


@pytest.mark.parametrize("key", ["a.mp3", "staged/a", "/incoming/a", "Incoming/a", "incoming", "batch", "batch-reports/a"])
def test_a_key_outside_the_uploads_is_refused_with_the_remedy(key: str):
    with pytest.raises(ValueError, match=r"upload below one of: incoming/, batch/"):
        keys.name_of(key)


@pytest.mark.parametrize("key", STRANGE_KEYS.values(), ids=STRANGE_KEYS)
def test_the_name_of_an_upload_is_its_key_below_the_prefix(key: str):
    assert keys.INCOMING_PREFIX + keys.name_of(key) == key


def test_a_model_archive_is_named_by_its_digest():
    assert keys.model_archive_key("abc") == "models/abc/model.tar.gz"


def test_end_states_are_those_that_nothing_follows():
    assert {state for state in JobState if state.is_end} == END_STATES
    assert {"succeeded", "partial", "failed", "rejected", "expired"} == END_STATES


@given(st.sampled_from(JobState), st.sampled_from(JobState))
def test_a_job_moves_only_as_the_table_of_transitions_says(before: JobState, after: JobState):
    if after in TRANSITIONS[before]:
        require_transition(before, after)
        return
    with pytest.raises(ValueError, match=rf"from {before} to {after}"):
        require_transition(before, after)


def test_every_state_can_be_reached_from_the_first_and_leads_to_an_end():
    def reached(start: JobState) -> set[JobState]:
        found, new = set(), {start}
        while new:
            found |= new
            new = {following for state in new for following in TRANSITIONS[state]} - found
        return found

    assert reached(JobState.RECEIVED) == set(JobState)
    assert all(reached(state) & END_STATES for state in JobState)
