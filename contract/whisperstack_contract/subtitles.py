"""Renderings of a transcript for people and players: txt, srt, vtt."""

import html
import re
from collections.abc import Callable, Sequence
from typing import Final

from whisperstack_contract.transcript import Segment, Transcript

# A cue of no length is invalid in WebVTT, and players skip it; one millisecond is the formats' resolution.
_SHORTEST_CUE_MS: Final = 1


def render_txt(transcript: Transcript) -> str:
    """One line for each segment that has text; empty for a recording without speech."""
    lines = (" ".join(_lines(segment.text)) for segment in transcript.segments)
    return "".join(f"{line}\n" for line in lines if line)


def render_srt(transcript: Transcript) -> str:
    """SubRip: numbered cues, comma before the milliseconds."""
    cues = _cues(transcript.segments)
    return "\n".join(
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{_without_arrow(text)}\n"
        for number, (start, end, text) in enumerate(cues, start=1)
    )


def render_vtt(transcript: Transcript) -> str:
    """WebVTT. Source of the escapes: W3C WebVTT, 4.2.2 (cue text)."""
    cues = _cues(transcript.segments)
    return "WEBVTT\n" + "".join(
        f"\n{_clock(start, '.')} --> {_clock(end, '.')}\n{html.escape(text, quote=False)}\n" for start, end, text in cues
    )


def render_json(transcript: Transcript) -> str:
    return transcript.to_json()


RENDERERS: Final[dict[str, Callable[[Transcript], str]]] = {
    "json": render_json,
    "txt": render_txt,
    "srt": render_srt,
    "vtt": render_vtt,
}


def _cues(segments: Sequence[Segment]) -> list[tuple[int, int, str]]:
    """(start ms, end ms, text) in order, without overlap, none empty or of no length."""
    cues: list[tuple[int, int, str]] = []
    earliest = 0
    for segment in segments:
        # A blank line would end the cue.
        text = "\n".join(_lines(segment.text))
        if not text:
            continue
        start = max(earliest, _milliseconds(segment.start))
        end = max(start + _SHORTEST_CUE_MS, _milliseconds(segment.end))
        cues.append((start, end, text))
        earliest = end
    return cues


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _clock(milliseconds: int, decimal_mark: str) -> str:
    seconds, ms = divmod(milliseconds, 1000)
    minutes, s = divmod(seconds, 60)
    hours, m = divmod(minutes, 60)
    return f"{hours:02}:{m:02}:{s:02}{decimal_mark}{ms:03}"


def _without_arrow(text: str) -> str:
    """SubRip has no escapes; a player would read an arrow in the text as a timing line."""
    return re.sub("-{2,}>", "->", text)
