"""What a failed attempt can tell its user."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from whisperstack_contract.errors import ErrorDocument, InferenceFailedError

# A reason may quote a whole traceback: this much of it helps a person.
_REASON_CHARS: Final = 300

# An error document is far shorter; a reason that nests or repeats its beginning must not keep the parser busy.
_SEARCHED_CHARS: Final = 20_000

# Rows (400 KB) and announcements (256 KB) are limited; even at six bytes a character this is far below.
_MESSAGE_CHARS: Final = 4000

_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_ERROR_START: Final = re.compile(r'\{\s*"error"\s*:')
_EXPIRED: Final = re.compile(r"\bexpired\b|\btime to live\b|\bTTL\b", re.IGNORECASE)
_ESCAPED: Final = re.compile(r'\\(["\\])')


def read_error(body: bytes) -> ErrorDocument | None:
    """The error document in `body`, fit to be stored and announced; None for anything else."""
    document = ErrorDocument.from_json(body)
    if document is None or not _CODE.fullmatch(document.code):
        return None
    return storable(document)


def storable(document: ErrorDocument) -> ErrorDocument:
    """The document with a message that rows and announcements can hold."""
    return replace(document, message=_encodable(document.message)[:_MESSAGE_CHARS])


def error_from_reason(reason: str) -> ErrorDocument:
    """The error document that SageMaker quotes in its failure reason, or else one that quotes the reason's beginning."""
    for candidate in _quoted_objects(reason):
        if document := read_error(candidate):
            return document
    short = " ".join(_encodable(reason).split())
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
            yield _encodable(text[start.start() : end]).encode()


def _encodable(text: str) -> str:
    """The text with halves of surrogate pairs replaced: JSON can spell them, UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()
