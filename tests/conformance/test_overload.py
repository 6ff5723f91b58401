"""More requests than a real-time endpoint is meant to have waiting: some are refused at once, none waits in vain."""

import threading
from collections.abc import Iterator

import pytest

from tests.conformance.answers import SENTENCE, text_of
from tests.conformance.conftest import Container
from tests.conformance.serving_stack import Answer, RunningStack

pytestmark = pytest.mark.of_the_stack

REQUESTS = 12


@pytest.fixture(scope="module")
def variables(container: Container) -> dict[str, str]:
    """As the template of a real-time endpoint says."""
    return container.realtime_variables()


@pytest.fixture(scope="module")
def endpoint(container: Container, variables: dict[str, str], recording) -> Iterator[RunningStack]:
    """With its model loaded."""
    with container.run("overload", variables) as stack:
        text_of(stack.invoke(recording("mp3")))
        yield stack


def test_what_finds_the_queue_full_is_refused_at_once_and_the_rest_is_answered(
    endpoint: RunningStack, variables: dict[str, str], recording
):
    answers: list[Answer] = []
    body = recording("mp3")
    threads = [threading.Thread(target=lambda: answers.append(endpoint.invoke(body))) for _ in range(REQUESTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (queue,) = (int(value) for name, value in variables.items() if name.endswith("JOB_QUEUE_SIZE"))
    (workers,) = (int(value) for name, value in variables.items() if name.endswith("WORKERS_PER_MODEL"))
    answered = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status != 200]
    assert all(SENTENCE in text_of(answer) for answer in answered)
    assert {answer.status for answer in refused} == {503}
    assert workers <= len(answered) <= workers + queue
    # Before any of those that wait is answered.
    assert max(answer.seconds for answer in refused) < min(answer.seconds for answer in answered)
