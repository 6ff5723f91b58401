"""What an endpoint or a transform job says of a failure, fit to be stored and announced."""

import re
from dataclasses import replace
from typing import Final

from whisperstack_contract.errors import ErrorDocument

# Rows (400 KB) and announcements (256 KB) are limited; even at six bytes a character this is far below.
_MESSAGE_CHARS: Final = 4000

_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


def read_error(body: bytes) -> ErrorDocument | None:
    """The error document in `body`, fit to be stored and announced; None for anything else."""
    document = ErrorDocument.from_json(body)
    if document is None or not _CODE.fullmatch(document.code):
        return None
    return storable(document)


def storable(document: ErrorDocument) -> ErrorDocument:
    """The document with a message that rows and announcements can hold."""
    return replace(document, message=encodable(document.message)[:_MESSAGE_CHARS])


def encodable(text: str) -> str:
    """The text with halves of surrogate pairs replaced: JSON can spell them, UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()
