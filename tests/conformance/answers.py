"""What an answer of a serving stack says."""

import json

from tests.conformance.serving_stack import Answer
from whisperstack_contract.errors import ERRORS_BY_CODE, ErrorDocument

SENTENCE = "ask not what your country can do for you"


def text_of(answer: Answer) -> str:
    """The text of a transcript."""
    assert answer.status == 200, answer.text[:500]
    text: str = json.loads(answer.body)["text"]
    return text


def error_of(answer: Answer) -> ErrorDocument:
    """The typed error, whose status is the one that its code has."""
    error = ErrorDocument.from_json(answer.body)
    assert error is not None, answer.text[:500]
    assert answer.status == ERRORS_BY_CODE[error.code].http_status
    assert "Traceback" not in answer.text
    return error
