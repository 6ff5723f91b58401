"""What the container is told through its environment, read once when the model is loaded."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from whisper_serving.decoder_binary import find_ffmpeg
from whisperstack_contract.inference_options import InferenceOption
from whisperstack_contract.limits import ASYNC_PAYLOAD_BYTES, AUDIO_SECONDS
from whisperstack_contract.limits import CHUNK_LENGTH_SECONDS as LONGEST_CHUNK
from whisperstack_contract.limits import CHUNK_LENGTH_SECONDS_LEAST as SHORTEST_CHUNK
from whisperstack_contract.variables import (
    CHUNK_LENGTH_SECONDS,
    CPU,
    DEFAULT_OPTIONS,
    EXACT,
    FAST,
    GPU,
    HARDWARE,
    INFERENCE_OPTION,
    MAX_AUDIO_BYTES,
    MAX_AUDIO_SECONDS,
    MODEL_DIGEST,
    NUMERICS,
    OPTIONS,
)

_DEFAULT_MAX_AUDIO_SECONDS: Final = 4 * 3600.0
# The refusal must arrive before SageMaker's own, which says nothing of what helps.
_ANSWER_MARGIN_SECONDS: Final = 5.0
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class SettingsError(ValueError):
    """A setting is missing or wrong: the variable, its value, what is allowed."""


@dataclass(frozen=True)
class Settings:
    """model_digest: SHA-256 of the archive that is being served. ffmpeg: path of the decoder.

    hardware: 'cpu' or 'gpu', what the endpoint was deployed on; None where nobody said, as on a developer's machine.
    chunk_length_seconds: the most sound that the model is shown at once; openai-whisper's own loop always shows it 30 s.
    numerics: 'exact' for openai-whisper's own loop and numbers, 'fast' for windows side by side in the numbers that the
    processor is fastest with; on GPUs, where 'fast' has not been measured, 'exact' unless it is set.
    inference_option: by which of SageMaker's ways requests come, and so how large they may be.
    answer_seconds: after which nobody waits for the answer; None where that is longer than any recording takes.
    option_variables: those that hold options of transcription. As text: what is wrong with them is the answer to a request.
    """

    model_digest: str
    ffmpeg: str
    hardware: str | None = None
    numerics: str = FAST
    max_audio_seconds: float = _DEFAULT_MAX_AUDIO_SECONDS
    chunk_length_seconds: float = LONGEST_CHUNK
    inference_option: InferenceOption = InferenceOption.ASYNCHRONOUS
    max_audio_bytes: int = InferenceOption.ASYNCHRONOUS.payload_bytes
    answer_seconds: float | None = None
    option_variables: Mapping[str, str] = field(default_factory=dict)
    # ffmpeg decodes several hundred times faster than real time, so whatever takes this long is stuck.
    decoding_timeout_seconds: float = 300.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises SettingsError."""
        option, hardware = _read_inference_option(environment), _read_hardware(environment)
        return cls(
            model_digest=_read_digest(environment),
            ffmpeg=_find_ffmpeg(),
            hardware=hardware,
            numerics=_read_numerics(environment, hardware),
            max_audio_seconds=_read_max_audio_seconds(environment),
            inference_option=option,
            chunk_length_seconds=_read_chunk_length_seconds(environment),
            max_audio_bytes=_read_max_audio_bytes(environment, option),
            answer_seconds=_answer_seconds(option),
            option_variables={name: environment[name] for name in (OPTIONS, DEFAULT_OPTIONS) if name in environment},
        )


def _answer_seconds(option: InferenceOption) -> float | None:
    if option is not InferenceOption.REAL_TIME:
        return None
    return option.invocation_seconds - _ANSWER_MARGIN_SECONDS


def _read_digest(environment: Mapping[str, str]) -> str:
    digest = environment.get(MODEL_DIGEST, "")
    if not _DIGEST.fullmatch(digest):
        raise SettingsError(f"{MODEL_DIGEST} is {digest!r}; set it to the SHA-256 of model.tar.gz, 64 lower-case hex digits")
    return digest


def _read_hardware(environment: Mapping[str, str]) -> str | None:
    hardware = environment.get(HARDWARE)
    if hardware not in (None, CPU, GPU):
        raise SettingsError(f"{HARDWARE} is {hardware!r}; set it to {CPU!r} or {GPU!r}")
    return hardware


def _read_numerics(environment: Mapping[str, str], hardware: str | None) -> str:
    numerics = environment.get(NUMERICS, EXACT if hardware == GPU else FAST)
    if numerics not in (EXACT, FAST):
        raise SettingsError(f"{NUMERICS} is {numerics!r}; set it to {EXACT!r} or {FAST!r}")
    return numerics


def _read_max_audio_seconds(environment: Mapping[str, str]) -> float:
    text = environment.get(MAX_AUDIO_SECONDS)
    if text is None:
        return _DEFAULT_MAX_AUDIO_SECONDS
    seconds = _number(text)
    if not 0 < seconds <= AUDIO_SECONDS:
        raise SettingsError(f"{MAX_AUDIO_SECONDS} is {text!r}; set it to seconds above 0, at most {AUDIO_SECONDS:.0f}")
    return seconds


def _read_chunk_length_seconds(environment: Mapping[str, str]) -> float:
    text = environment.get(CHUNK_LENGTH_SECONDS, str(LONGEST_CHUNK))
    seconds = _number(text)
    if not SHORTEST_CHUNK <= seconds <= LONGEST_CHUNK:
        raise SettingsError(f"{CHUNK_LENGTH_SECONDS} is {text!r}; set it to {SHORTEST_CHUNK} to {LONGEST_CHUNK} seconds")
    return seconds


def _number(text: str) -> float:
    """Not a number for what is none, which lies in no range."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _read_max_audio_bytes(environment: Mapping[str, str], option: InferenceOption) -> int:
    text = environment.get(MAX_AUDIO_BYTES, str(option.payload_bytes))
    if not (text.isdecimal() and 0 < int(text) <= ASYNC_PAYLOAD_BYTES):
        raise SettingsError(f"{MAX_AUDIO_BYTES} is {text!r}; set it to bytes above 0, at most {ASYNC_PAYLOAD_BYTES}")
    return int(text)


def _read_inference_option(environment: Mapping[str, str]) -> InferenceOption:
    text = environment.get(INFERENCE_OPTION, InferenceOption.ASYNCHRONOUS)
    try:
        return InferenceOption(text)
    except ValueError as error:
        raise SettingsError(f"{INFERENCE_OPTION} is {text!r}; set it to one of: {', '.join(InferenceOption)}") from error


def _find_ffmpeg() -> str:
    found = find_ffmpeg()
    if found is None:
        raise SettingsError(
            "there is no ffmpeg here; use an image that has it, or build the archive with --with-ffmpeg so that it carries one"
        )
    return found
