"""What a failed attempt can tell its user."""

import json
import re
from collections.abc import Iterator
from typing import Final

from transcription_jobs.error_documents import encodable, read_error
from whisperstack_contract.errors import ErrorDocument, InferenceFailedError

# A reason may quote a whole traceback: this much of it helps a person.
_REASON_CHARS: Final = 300

# An error document is far shorter; a reason that nests or repeats its beginning must not keep the parser busy.
_SEARCHED_CHARS: Final = 20_000

_ERROR_START: Final = re.compile(r'\{\s*"error"\s*:')
_EXPIRED: Final = re.compile(r"\bexpired\b|\btime to live\b|\bTTL\b", re.IGNORECASE)
_ESCAPED: Final = re.compile(r'\\(["\\])')


def error_from_reason(reason: str) -> ErrorDocument:
    """The error document that SageMaker quotes in its failure reason, or else one that quotes the reason's beginning."""
    for candidate in _quoted_objects(reason):
        if document := read_error(candidate):
            return document
    short = " ".join(encodable(reason).split())
    if len(short) > _REASON_CHARS:
        short = short[:_REASON_CHARS] + "…"
    return InferenceFailedError(
        f"the endpoint could not transcribe the recording ({short or 'it gave no reason'}); "
        "upload it again, and if that fails too, look into the endpoint's log"
    ).document()


def says_expired(reason: str) -> bool:
    """Whether the request ran out of its time in SageMaker's queue: no failure of the recording's, nor of the model's.

    What SageMaker says then is not documented. A reason that is taken for another costs an attempt, nothing more.
    """
    return _EXPIRED.search(reason) is not None


def _quoted_objects(reason: str) -> Iterator[bytes]:
    """Each JSON object in `reason` that may be an error document, quoted as it is or with its quotes escaped."""
    searched = reason[:_SEARCHED_CHARS]
    for text in (searched, _ESCAPED.sub(r"\1", searched)):
        for start in _ERROR_START.finditer(text):
            try:
                _, end = json.JSONDecoder().raw_decode(text, start.start())
            except (ValueError, RecursionError):
                continue
            yield encodable(text[start.start() : end]).encode()
