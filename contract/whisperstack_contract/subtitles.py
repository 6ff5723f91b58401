"""Renderings of a transcript for people, players and programs: txt, srt, vtt, tsv, json."""

import html
import re
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Final

from whisperstack_contract.cues import Cue, Line, cues
from whisperstack_contract.options import JSON_FORMAT, TranscriptionOptions
from whisperstack_contract.spoken_text import milliseconds
from whisperstack_contract.text_layout import clusters
from whisperstack_contract.transcript import Transcript

_DEFAULTS: Final = TranscriptionOptions()


def render_txt(transcript: Transcript, _options: TranscriptionOptions = _DEFAULTS) -> str:
    """One line for each segment that has text; empty for a recording without speech."""
    lines = (_one_line(segment.text) for segment in transcript.segments)
    return "".join(f"{line}\n" for line in lines if line)


def render_tsv(transcript: Transcript, _options: TranscriptionOptions = _DEFAULTS) -> str:
    """Start and end in milliseconds, and text, of each segment that has one; a tab between."""
    rows = [(segment, _one_line(segment.text)) for segment in transcript.segments]
    body = "".join(f"{milliseconds(each.start)}\t{milliseconds(each.end)}\t{text}\n" for each, text in rows if text)
    return f"start\tend\ttext\n{body}"


def render_srt(transcript: Transcript, options: TranscriptionOptions = _DEFAULTS) -> str:
    """SubRip: numbered cues, comma before the milliseconds."""
    return "\n".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_without_arrow(_text(cue))}\n"
        for number, cue in enumerate(cues(transcript, options), start=1)
    )


def render_vtt(transcript: Transcript, options: TranscriptionOptions = _DEFAULTS) -> str:
    """WebVTT. Source of the escapes: W3C WebVTT, 4.2.2 (cue text). Highlighted words are underlined, as openai-whisper does."""
    shown = []
    for cue in cues(transcript, options):
        views = _highlights(cue) if options.highlight_words else [(cue.start, cue.end, None)]
        shown += [f"\n{_clock(start, '.')} --> {_clock(end, '.')}\n{_marked(cue, word)}\n" for start, end, word in views]
    return "WEBVTT\n" + "".join(shown)


def render_json(transcript: Transcript, _options: TranscriptionOptions = _DEFAULTS) -> str:
    return transcript.to_json()


RENDERERS: Final[dict[str, Callable[[Transcript, TranscriptionOptions], str]]] = {
    JSON_FORMAT: render_json,
    "txt": render_txt,
    "srt": render_srt,
    "vtt": render_vtt,
    "tsv": render_tsv,
}


def _highlights(cue: Cue) -> Iterator[tuple[int, int, int | None]]:
    """(start, end, the word that is spoken then or None), without gaps from the cue's start to its end."""
    now = cue.start
    spoken = (character for line in cue.lines for character in line if character.word is not None)
    for word, group in groupby(spoken, key=lambda character: character.word):
        characters = list(group)
        start = min(max(now, characters[0].start), cue.end)
        end = min(max(start, characters[-1].end), cue.end)
        if start > now:
            yield now, start, None
        if end > start:
            yield start, end, word
        now = end
    if now < cue.end:
        yield now, cue.end, None


def _marked(cue: Cue, word: int | None) -> str:
    """The cue's text for WebVTT, with `word` underlined."""
    return "\n".join("".join(_runs(line, word)) for line in cue.lines)


def _runs(line: Line, word: int | None) -> Iterator[str]:
    for index, (underlined, group) in enumerate(groupby(line, key=lambda each: word is not None and each.word == word)):
        characters = list(group)
        gap = characters[0].gap if index else ""
        text = html.escape(_joined(characters), quote=False)
        yield f"{gap}<u>{text}</u>" if underlined else gap + text


def _text(cue: Cue) -> str:
    return "\n".join(_joined(line) for line in cue.lines)


def _joined(line: Line) -> str:
    return line[0].text + "".join(character.gap + character.text for character in line[1:])


def _one_line(text: str) -> str:
    return "".join(gap + character for gap, character in clusters(text)).strip()


def _clock(time: int, decimal_mark: str) -> str:
    seconds, ms = divmod(time, 1000)
    minutes, s = divmod(seconds, 60)
    hours, m = divmod(minutes, 60)
    return f"{hours:02}:{m:02}:{s:02}{decimal_mark}{ms:03}"


def _without_arrow(text: str) -> str:
    """SubRip has no escapes; a player would read an arrow in the text as a timing line."""
    return re.sub("-{2,}>", "->", text)
