"""Recordings of any length, window after window: each starts where the last one's timestamps end.

Source: openai-whisper transcribe.py, whose thresholds and steps these are, so that both engines hear alike.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import torch

from whisper_serving.log_mel import FRAMES_PER_SECOND, HOP_SAMPLES, SAMPLE_RATE_HZ, LogMel
from whisper_serving.speech import Span
from whisper_serving.token_rules import SECONDS_PER_TIMESTAMP, Vocabulary
from whisper_serving.window_decoding import DecodedWindow
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.transcript import Segment

_COMPRESSION_RATIO_THRESHOLD: Final = 2.4
_LOGPROB_THRESHOLD: Final = -1.0
NO_SPEECH_THRESHOLD: Final = 0.6
# Text that was found by much sampling is no good guide to what follows.
_PROMPT_RESET_TEMPERATURE: Final = 0.5

_FRAMES_PER_TIMESTAMP: Final = round(SECONDS_PER_TIMESTAMP * FRAMES_PER_SECOND)


class TextTokens(Protocol):
    def text_of(self, tokens: Sequence[int]) -> str: ...

    def tokens_of(self, text: str) -> list[int]: ...


class WindowRecogniser(TextTokens, Protocol):
    """One framework's model, a window at a time. prompt_tokens: as many of them are heeded."""

    @property
    def prompt_tokens(self) -> int: ...

    def decode(self, mel: torch.Tensor, prompt: Sequence[int], temperature: float, beam_size: int | None) -> DecodedWindow:
        """mel: float32 [n_mels, 3000]. prompt: what was said before, newest last, without marks."""
        ...


@dataclass(frozen=True)
class HeardSegment:
    """A segment and its tokens, marks of time among them. window: (first frame, frames) that it was heard in."""

    segment: Segment
    tokens: Sequence[int]
    window: tuple[int, int]


def compression_ratio(text: str) -> float:
    """How much shorter zlib makes it: text that repeats itself is over 2.4. Source: openai-whisper utils.py."""
    encoded = text.encode()
    return len(encoded) / len(zlib.compress(encoded))


def recognise_windows(
    mel: LogMel,
    listen: Sequence[Span],
    recogniser: WindowRecogniser,
    vocabulary: Vocabulary,
    options: TranscriptionOptions,
) -> list[HeardSegment]:
    """Window after window of what is to be listened to, in order. Segments without text are left out."""
    given = given_prompt(recogniser, options)
    said = list(given)
    remembered_from, seek = 0, 0
    heard: list[HeardSegment] = []
    for span in listen:
        # The last window of the span before may have ended in the pause between them.
        seek, end = max(seek, mel.frame_at(span.start)), mel.frame_at(span.end)
        while seek < end:
            n_frames = min(mel.chunk_frames, end - seek)
            prompt = said[remembered_from:]
            if options.hotwords is not None:
                # Names and terms may come at any time, what was said before the recording only before it.
                latest = said[max(len(given), remembered_from) :]
                prompt = given + latest[max(0, len(given) + len(latest) - recogniser.prompt_tokens) :]
            result = _decode_with_fallback(mel.window(seek, n_frames), prompt, recogniser, options)
            if is_silent(result):
                seek += n_frames
                continue
            pieces, advance = split(result.tokens, n_frames, vocabulary)
            found = segments_of(pieces, result, (seek, n_frames), recogniser, vocabulary)
            said += [token for segment in found for token in segment.tokens]
            heard += [replace(new, segment=replace(new.segment, id=number)) for number, new in enumerate(found, len(heard))]
            if result.temperature > _PROMPT_RESET_TEMPERATURE:
                remembered_from = len(said)
            seek += advance
    return heard


def segments_of(
    pieces: Sequence[tuple[float, float, Sequence[int]]],
    result: DecodedWindow,
    window: tuple[int, int],
    recogniser: TextTokens,
    vocabulary: Vocabulary,
) -> list[HeardSegment]:
    """pieces: as `split` returns them. A segment may end in the padding behind the recording."""
    found = []
    whole = recogniser.text_of([token for token in result.tokens if token < vocabulary.end_of_text])
    offset = window[0] / FRAMES_PER_SECOND
    for start, end, tokens in pieces:
        text = recogniser.text_of([token for token in tokens if token < vocabulary.end_of_text])
        if start == end or not text.strip():
            continue
        segment = Segment(
            id=0,
            start=offset + start,
            end=offset + end,
            text=text,
            avg_logprob=result.avg_logprob,
            compression_ratio=compression_ratio(whole),
            no_speech_prob=result.no_speech_prob,
            temperature=result.temperature,
        )
        found.append(HeardSegment(segment, tokens, window))
    return found


def given_prompt(recogniser: TextTokens, options: TranscriptionOptions) -> list[int]:
    text = " ".join(part.strip() for part in (options.hotwords, options.initial_prompt) if part and part.strip())
    return recogniser.tokens_of(f" {text}") if text else []


def _decode_with_fallback(
    mel: torch.Tensor, prompt: Sequence[int], recogniser: WindowRecogniser, options: TranscriptionOptions
) -> DecodedWindow:
    """The first temperature whose text looks right, else the last one's."""
    for temperature in options.temperature:
        result = recogniser.decode(mel, prompt, temperature, options.beam_size)
        if looks_right(result, recogniser):
            break
    return result


def looks_right(result: DecodedWindow, recogniser: TextTokens) -> bool:
    """Whether to keep it as it is: neither repeating itself nor doubtful, or silent."""
    doubtful = result.avg_logprob < _LOGPROB_THRESHOLD
    if doubtful and result.no_speech_prob > NO_SPEECH_THRESHOLD:
        return True
    return not doubtful and compression_ratio(recogniser.text_of(result.tokens)) <= _COMPRESSION_RATIO_THRESHOLD


def is_silent(result: DecodedWindow) -> bool:
    """A window without speech: the model says so, and is not sure of its words either."""
    return result.no_speech_prob > NO_SPEECH_THRESHOLD and result.avg_logprob <= _LOGPROB_THRESHOLD


def split(tokens: Sequence[int], n_frames: int, vocabulary: Vocabulary) -> tuple[list[tuple[float, float, Sequence[int]]], int]:
    """[(start, end, tokens)] of the segments, in seconds from the window's start; and the frames until the next window."""
    first = vocabulary.first_timestamp
    stamped = [token >= first for token in tokens]
    cuts = [index for index in range(1, len(tokens)) if stamped[index - 1] and stamped[index]]
    ends_with_one = stamped[-2:] == [False, True]

    def seconds(token: int) -> float:
        return (token - first) * SECONDS_PER_TIMESTAMP

    if cuts:
        if ends_with_one:
            cuts.append(len(tokens))
        pieces = [tokens[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]
        # After a pair of timestamps the next window starts; after a single one, nothing more is said in this window.
        advance = n_frames if ends_with_one else (tokens[cuts[-1] - 1] - first) * _FRAMES_PER_TIMESTAMP
        return [(seconds(piece[0]), seconds(piece[-1]), piece) for piece in pieces], advance
    stamps = [token for token in tokens if token >= first]
    end = seconds(stamps[-1]) if stamps and stamps[-1] != first else n_frames * HOP_SAMPLES / SAMPLE_RATE_HZ
    return [(0.0, end, tokens)], n_frames
