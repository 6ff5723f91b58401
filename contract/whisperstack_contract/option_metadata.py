"""Options in the metadata of an uploaded object.

`x-amz-meta-whisperstack-max-line-width: 42` says max_line_width; hyphens and underscores are the same. Metadata without the
prefix is the uploader's own. A text that is not ASCII stands in RFC 2047 words (`=?UTF-8?B?R3LDvMOfZQ==?=`): so S3 returns what
came in as Unicode, and decodes before it stores. Source: Amazon S3 user guide, "Working with object metadata".
"""

import binascii
from collections.abc import Mapping
from email.errors import HeaderParseError
from email.header import decode_header
from typing import Final

from whisperstack_contract.errors import InvalidOptionsError
from whisperstack_contract.option_values import quoted
from whisperstack_contract.options import OPTIONS_BY_NAME, PROMPT_OPTIONS, PartialOptions

METADATA_PREFIX: Final = "whisperstack-"
_HEADER: Final = "x-amz-meta-"
_CHARSETS: Final = frozenset({"utf-8", "us-ascii"})  # what S3 itself encodes with


def metadata_name(option: str) -> str:
    """The header with which an uploader says `option`."""
    return f"{_HEADER}{METADATA_PREFIX}{option.replace('_', '-')}"


def options_from_metadata(metadata: Mapping[str, str], *, prompts_allowed: bool) -> PartialOptions:
    """metadata: of the object, names without x-amz-meta-. prompts_allowed: whether it may say what the model is prompted with.

    Raises InvalidOptionsError for an unknown option or value, one said twice, and a prompt where none is allowed.
    """
    said: dict[str, object] = {}
    for name, text in sorted(metadata.items()):
        # S3 lower-cases names; other stores that speak its protocol may not.
        if not name.lower().startswith(METADATA_PREFIX):
            continue
        option = name.lower().removeprefix(METADATA_PREFIX).replace("-", "_")
        if option not in OPTIONS_BY_NAME:
            allowed = ", ".join(metadata_name(known) for known in OPTIONS_BY_NAME)
            raise InvalidOptionsError(f"unknown option in the object's metadata: {quoted(name)}; allowed: {allowed}")
        if option in said:
            raise InvalidOptionsError(f"the object's metadata says {option} twice; leave one out")
        if option in PROMPT_OPTIONS and not prompts_allowed:
            raise InvalidOptionsError(
                f"the object's metadata says {option}, and this environment takes no prompts from metadata; "
                "leave it out, or ask its operators to allow it (prompts_from_metadata)"
            )
        said[option] = OPTIONS_BY_NAME[option].parse(_decoded(option, text))
    return PartialOptions(said)


def _decoded(option: str, text: str) -> str:
    """The text with its RFC 2047 words decoded. Raises InvalidOptionsError for words that do not hold what they say."""
    if "=?" not in text:
        return text
    try:
        parts = decode_header(text)
        charsets = {charset.lower() for _, charset in parts if charset}
        if charsets <= _CHARSETS:
            return "".join(part if isinstance(part, str) else part.decode(charset or "ascii") for part, charset in parts)
        problem = f"its character set is {', '.join(sorted(charsets))}"
    except (HeaderParseError, binascii.Error, UnicodeError) as error:
        problem = str(error) or type(error).__name__
    raise InvalidOptionsError(
        f"{option} in the object's metadata is {quoted(text)}, which is no valid RFC 2047 text ({problem}); "
        "encode it as UTF-8, for example =?UTF-8?B?R3LDvMOfZQ==?="
    )
