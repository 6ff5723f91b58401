"""From the start of a stack to its first answer, and what becomes of archives that cannot be served."""

import json
import signal
from pathlib import Path

import pytest

from tests.conformance.conftest import Container, replace_file
from tests.conformance.serving_stack import ANSWER_SECONDS
from tests.conformance.test_requests import SENTENCE, error_of, text_of

LOAD_SECONDS = 15


def _slow(archive: Path) -> None:
    handler = archive / "code" / "inference.py"
    slow = f"import time\n\n_fast = model_fn\n\ndef model_fn(model_dir, context=None):\n    time.sleep({LOAD_SECONDS})\n"
    replace_file(handler, handler.read_text() + "\n\n" + slow + "    return _fast(model_dir, context)\n")


def _wrong_weights(archive: Path) -> None:
    weights = archive / json.loads((archive / "whisperstack.json").read_text())["weights"]
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    replace_file(weights, bytes(content))


def _broken_import(archive: Path) -> None:
    replace_file(archive / "code" / "whisper_serving" / "engines.py", "import a_package_that_is_nowhere\n")


@pytest.mark.short
def test_the_first_request_waits_for_the_load(container: Container, recording):
    with container.run("slow", _slow) as stack:
        # /ping said 200 already: on these stacks it cannot wait.
        answer = stack.invoke(recording("mp3"))
        assert SENTENCE in text_of(answer)
        assert answer.seconds > LOAD_SECONDS / 2


@pytest.mark.short
@pytest.mark.parametrize("damage", [_wrong_weights, _broken_import], ids=["wrong weights", "broken import"])
def test_a_model_that_cannot_be_loaded_is_told_to_every_request(container: Container, recording, damage):
    with container.run("unloadable", damage) as stack:
        assert stack.ping() == 200  # as in AWS: only a request tells
        for _ in range(2):
            error = error_of(stack.invoke(recording("mp3")))
            assert (error.code, error.retryable) == ("model_unavailable", True)


@pytest.mark.parametrize("content", [None, "raise RuntimeError('broken')\n"], ids=["absent", "raises"])
def test_without_the_handler_nothing_else_is_served(container: Container, recording, content):
    """The Hugging Face toolkit would serve a default pipeline of its own."""

    def damage(archive: Path) -> None:
        handler = archive / "code" / "inference.py"
        handler.unlink()
        if content is not None:
            replace_file(handler, content)

    with container.run("no-handler", damage) as stack:
        try:
            answer = stack.invoke(recording("flac"), "audio/x-flac", seconds=40)
        except OSError:
            return  # no worker to answer
        assert answer.status >= 400
        assert SENTENCE not in answer.text


def test_the_response_timeout_is_the_one_that_is_set(container: Container, recording):
    """With the template's variables and a small value in place of theirs."""

    def stuck(archive: Path) -> None:
        handler = archive / "code" / "inference.py"
        slow = "import time\n\ndef transform_fn(model, body, content_type, accept, context=None):\n    time.sleep(60)\n"
        replace_file(handler, handler.read_text() + "\n\n" + slow + "    return 'late'\n")

    names = [name for name in container.variables if "TIMEOUT" in name]
    assert names
    with container.run("timeout", stuck, **dict.fromkeys(names, "5")) as stack:
        answer = stack.invoke(recording("mp3"), seconds=50)
        assert answer.status >= 500
        assert answer.seconds < 40


def test_a_killed_worker_is_replaced(container: Container, recording):
    with container.run("killed") as stack:
        assert SENTENCE in text_of(stack.invoke(recording("mp3")))
        (worker,) = stack.workers()
        worker.send_signal(signal.SIGKILL)
        deadline = ANSWER_SECONDS
        for _ in range(int(deadline)):
            answer = stack.invoke(recording("mp3"))
            if answer.status == 200:
                break
        assert SENTENCE in text_of(answer)
        assert stack.workers()[0].pid != worker.pid
