"""Whether an Ogg file was cut off. It does not say how long it is, but each of its pages says how large the page is.

Source of the layout: RFC 3533, section 6.
"""

from typing import Final

_CAPTURE: Final = b"OggS"
_HEADER_BYTES: Final = 27  # the last of them: how many lengths of a byte each follow
_MOST_PAGE_BYTES: Final = _HEADER_BYTES + 255 + 255 * 255


def ends_within_a_page(content: bytes | bytearray) -> bool:
    """Whether the last page of an Ogg file is not all there. False for other files."""
    if content[: len(_CAPTURE)] != _CAPTURE:
        return False
    start = content.rfind(_CAPTURE, max(0, len(content) - _MOST_PAGE_BYTES))
    if start < 0:
        return False  # something else follows the last page
    lengths = start + _HEADER_BYTES
    if len(content) < lengths:
        return True
    first, last = lengths, lengths + content[lengths - 1]
    return len(content) < last + sum(content[first:last])
