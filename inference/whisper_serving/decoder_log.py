"""Reads what ffmpeg says on stderr: there is no ffprobe beside the binary that we bundle.

The lines differ between versions (4.2 to 9.0 are known), so whatever is not found is None.
"""

import re
from dataclasses import dataclass
from typing import Final

_INPUT: Final = re.compile(r"^Input #0, (\S+), from ", re.MULTILINE)
_END_OF_INPUT: Final = re.compile(r"^(Stream mapping:|Output #0)", re.MULTILINE)
_DURATION: Final = re.compile(r"^ +Duration: (\d+):(\d\d):(\d\d\.\d+)", re.MULTILINE)
_TRACK: Final = re.compile(r"^ +Stream #0:", re.MULTILINE)
_TRACK_DURATION: Final = re.compile(r"^ +DURATION +: (\d+):(\d\d):(\d\d\.\d+)", re.MULTILINE)  # a tag in Matroska and WebM
_AUDIO_TRACK: Final = re.compile(r"^ +Stream #0:\d+\S*: Audio: (\w+)(.*)", re.MULTILINE)
_SAMPLE_RATE: Final = re.compile(r", (\d+) Hz(?:, ([^,]+))?")
_CHANNEL_COUNT: Final = re.compile(r"(\d+) channels")
_SPEAKERS: Final = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(?:\(\w+\))?")  # 5.1, 7.1(wide), 5.1.4
_AMBISONIC: Final = re.compile(r"ambisonic (\d+)")

# The layouts whose names do not say how many. Source: libavutil channel_layout.c.
_LAYOUTS: Final = {
    **{"mono": 1, "stereo": 2, "downmix": 2, "binaural": 2, "quad": 4, "quad(side)": 4, "hexagonal": 6},
    **{"octagonal": 8, "cube": 8, "hexadecagonal": 16},
}

# "Error while decoding" up to 6.0; ogg pages that fail their checksum are dropped before they reach a decoder.
_DAMAGE: Final = re.compile(r"Error submitting packet to decoder|Decoding error:|Error while decoding stream|CRC mismatch!")


@dataclass(frozen=True)
class AudioTrack:
    """codec: 'none' where ffmpeg does not know it. The rest is None where the log does not tell.

    declared_seconds: of this track; containers mostly say it of the longest one only.
    """

    codec: str
    sample_rate_hz: int | None
    channels: int | None
    declared_seconds: float | None = None


@dataclass(frozen=True)
class DecoderLog:
    """container: as ffmpeg calls it, None where it found none that it may open. tracks: of audio, in the file's order.

    declared_seconds: by the container; None where it does not say. complete: whether all tracks have been listed.
    guessed: the content hardly looks like that container. damages: how many places could not be decoded.
    """

    container: str | None
    tracks: tuple[AudioTrack, ...]
    declared_seconds: float | None
    complete: bool
    guessed: bool
    index_missing: bool
    memory_short: bool
    encrypted: bool
    codec_refused: bool
    damages: int


def read_decoder_log(text: str) -> DecoderLog:
    opened = _INPUT.search(text)
    end = _END_OF_INPUT.search(text, opened.start()) if opened else None
    banner = text[opened.start() : end.start() if end else None] if opened else ""
    return DecoderLog(
        container=opened[1].rstrip(",").split(",")[0] if opened else None,
        tracks=tuple(_read_track(track, banner) for track in _AUDIO_TRACK.finditer(banner)),
        declared_seconds=_declared_seconds(banner, text),
        complete=end is not None,
        guessed="misdetection possible" in text,
        index_missing="moov atom not found" in text,
        memory_short="Cannot allocate memory" in text,
        encrypted="encryption initialization data" in banner,
        codec_refused="not on whitelist" in text,
        damages=len(_DAMAGE.findall(text)),
    )


def _read_track(line: re.Match[str], banner: str) -> AudioTrack:
    codec, rest = line.groups()
    rate = _SAMPLE_RATE.search(rest)
    following = _TRACK.search(banner, line.end())
    duration = _TRACK_DURATION.search(banner, line.end(), following.start() if following else len(banner))
    return AudioTrack(
        codec,
        int(rate[1]) if rate else None,
        _channels((rate[2] or "").strip()) if rate else None,
        _seconds(duration) if duration else None,
    )


def _channels(layout: str) -> int | None:
    if layout in _LAYOUTS:
        return _LAYOUTS[layout]
    if count := _CHANNEL_COUNT.match(layout):
        return int(count[1])
    if ambisonic := _AMBISONIC.match(layout):
        return (int(ambisonic[1]) + 1) ** 2
    if speakers := _SPEAKERS.fullmatch(layout):
        return sum(int(group) for group in speakers.groups() if group)
    return None


def _declared_seconds(banner: str, text: str) -> float | None:
    match = _DURATION.search(banner)
    # Estimated from the size, it says nothing about what should have been there.
    if match is None or "Estimating duration from bitrate" in text:
        return None
    return _seconds(match)


def _seconds(clock: re.Match[str]) -> float:
    hours, minutes, seconds = clock.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
