"""Several workers and a small limit of the body, for what needs a stack that is told otherwise than the deployed one."""

import threading
import time
from collections.abc import Iterator

import pytest

from tests.conformance.answers import SENTENCE, text_of
from tests.conformance.conftest import Container
from tests.conformance.serving_stack import ANSWER_SECONDS, RunningStack

pytestmark = pytest.mark.of_the_stack

WORKERS = 2
LIMIT_BYTES = 8_000_000


@pytest.fixture(scope="module")
def narrow(container: Container) -> Iterator[RunningStack]:
    """With as many workers as the template says where the settings ask for two, and sizes that a test can send quickly."""
    variables = container.template_variables(workers=WORKERS)
    sizes = [name for name in variables if "MAX_RE" in name]
    assert len(sizes) == 2
    with container.run("narrow", {**variables, **dict.fromkeys(sizes, str(LIMIT_BYTES))}) as stack:
        yield stack


def test_parallel_requests_are_all_answered_by_the_workers_that_were_asked_for(narrow: RunningStack, recording):
    answers, body = [], recording("mp3")
    threads = [threading.Thread(target=lambda: answers.append(narrow.invoke(body))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [SENTENCE in text_of(answer) for answer in answers] == [True] * 6
    assert len(narrow.workers()) == WORKERS


def test_a_body_over_the_limit_is_refused_and_one_under_it_is_not(narrow: RunningStack, recording):
    # Above what the stacks take unless they are told otherwise. The headers count in neither stack's limit.
    body = recording("wav")
    assert SENTENCE in text_of(narrow.invoke(_padded(body, LIMIT_BYTES - 1_000), "audio/wav"))
    assert narrow.invoke(_padded(body, LIMIT_BYTES + 1_000), "audio/wav").status == 413


def test_killed_workers_are_replaced(narrow: RunningStack, recording):
    killed = narrow.workers()
    for worker in killed:
        worker.kill()
    deadline = time.monotonic() + ANSWER_SECONDS
    while (answer := narrow.invoke(recording("mp3"))).status != 200:
        assert time.monotonic() < deadline, answer.text[:500]
    assert SENTENCE in text_of(answer)
    assert {worker.pid for worker in narrow.workers()}.isdisjoint({worker.pid for worker in killed})


def _padded(wav: bytes, size_bytes: int) -> bytes:
    """The recording and, after its end, a chunk that no decoder plays."""
    filler = size_bytes - len(wav) - 8
    return wav + b"junk" + filler.to_bytes(4, "little") + bytes(filler)
