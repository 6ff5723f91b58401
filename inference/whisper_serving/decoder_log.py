"""Reads what ffmpeg says on stderr: there is no ffprobe beside the binary that we bundle."""

import re
from dataclasses import dataclass
from typing import Final

_INPUT: Final = re.compile(r"^Input #0, (\S+), from ", re.MULTILINE)
_END_OF_INPUT: Final = re.compile(r"^(Stream mapping:|Output #0)", re.MULTILINE)
_DURATION: Final = re.compile(r"^ +Duration: (\d+):(\d\d):(\d\d\.\d+)", re.MULTILINE)
_AUDIO_STREAM: Final = re.compile(r"^ +Stream #0:\d+\S*: Audio: (\w+)", re.MULTILINE)


@dataclass(frozen=True)
class DecoderLog:
    """container: as ffmpeg calls it, None where it found none that it may open. codec: None without an audio track.

    declared_seconds: by the container; None where it does not say. guessed: the content hardly looks like that container.
    """

    container: str | None
    codec: str | None
    declared_seconds: float | None
    guessed: bool
    index_missing: bool
    disk_full: bool


def read_decoder_log(text: str) -> DecoderLog:
    opened = _INPUT.search(text)
    end = _END_OF_INPUT.search(text)
    banner = text[opened.start() : end.start() if end else None] if opened else ""
    stream = _AUDIO_STREAM.search(banner)
    return DecoderLog(
        container=opened[1].rstrip(",").split(",")[0] if opened else None,
        codec=stream[1] if stream else None,
        declared_seconds=_declared_seconds(banner, text),
        guessed="misdetection possible" in text,
        index_missing="moov atom not found" in text,
        disk_full="No space left on device" in text,
    )


def _declared_seconds(banner: str, text: str) -> float | None:
    match = _DURATION.search(banner)
    # Estimated from the size, it says nothing about what should have been there.
    if match is None or "Estimating duration from bitrate" in text:
        return None
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
