"""Takes a request apart: the audio and the options."""

from dataclasses import dataclass
from typing import Any, Final

from whisper_serving.settings import Settings
from whisperstack_contract.options import PartialOptions, TranscriptionOptions

# SageMaker's CustomAttributes arrive in this header.
_OPTIONS_HEADER: Final = "X-Amzn-SageMaker-Custom-Attributes"


@dataclass(frozen=True)
class Request:
    audio: bytes | bytearray
    options: TranscriptionOptions


def read_request(body: bytes | bytearray | str, context: Any, settings: Settings) -> Request:
    """context: the serving stack's, or None for the environment's options. Raises InvalidOptionsError."""
    # Both stacks decode bodies that a client calls text or JSON. Whether it is audio, the decoder says.
    audio = body.encode("utf-8", "surrogateescape") if isinstance(body, str) else body
    said = PartialOptions.from_custom_attributes(_options_text(context))
    return Request(audio, said.over(PartialOptions.from_environment(settings.option_variables)).resolve())


def _options_text(context: Any) -> str:
    if context is None:
        return ""
    # The stacks look names up as they arrived, and a proxy may have lowered their case.
    value = context.get_request_header(0, _OPTIONS_HEADER) or context.get_request_header(0, _OPTIONS_HEADER.lower())
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value or ""
