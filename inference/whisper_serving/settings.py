"""What the container is told through its environment, read once when the model is loaded."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from whisperstack_contract.limits import AUDIO_FILE_BYTES
from whisperstack_contract.variables import CPU, GPU, HARDWARE, MAX_AUDIO_SECONDS, MODEL_DIGEST

_DEFAULT_MAX_AUDIO_SECONDS: Final = 4 * 3600.0
_MOST_AUDIO_SECONDS: Final = 24 * 3600.0
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class SettingsError(ValueError):
    """A setting is missing or wrong: the variable, its value, what is allowed."""


@dataclass(frozen=True)
class Settings:
    """model_digest: SHA-256 of the archive that is being served. ffmpeg: path of the decoder.

    hardware: 'cpu' or 'gpu', what the endpoint was deployed on; None where nobody said, as on a developer's machine.
    """

    model_digest: str
    ffmpeg: str
    hardware: str | None = None
    max_audio_seconds: float = _DEFAULT_MAX_AUDIO_SECONDS
    max_audio_bytes: int = AUDIO_FILE_BYTES
    # ffmpeg decodes several hundred times faster than real time, so whatever takes this long is stuck.
    decoding_timeout_seconds: float = 300.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises SettingsError."""
        return cls(
            model_digest=_read_digest(environment),
            ffmpeg=_find_ffmpeg(),
            hardware=_read_hardware(environment),
            max_audio_seconds=_read_max_audio_seconds(environment),
        )


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


def _read_max_audio_seconds(environment: Mapping[str, str]) -> float:
    text = environment.get(MAX_AUDIO_SECONDS)
    if text is None:
        return _DEFAULT_MAX_AUDIO_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= _MOST_AUDIO_SECONDS:
        raise SettingsError(f"{MAX_AUDIO_SECONDS} is {text!r}; set it to seconds above 0, at most {_MOST_AUDIO_SECONDS:.0f}")
    return seconds


def _find_ffmpeg() -> str:
    """The binary inside imageio-ffmpeg where that is installed, else the image's own."""
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        found = shutil.which("ffmpeg")
    if found is None:
        raise SettingsError("there is no ffmpeg on PATH; use an image that has it, or install imageio-ffmpeg")
    return found
