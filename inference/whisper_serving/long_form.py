"""Recordings of any length, window after window: each starts where the last one's timestamps end.

Source: openai-whisper transcribe.py, whose thresholds and steps these are, so that both engines hear alike.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import torch

from whisper_serving.log_mel import FRAMES_PER_SECOND, HOP_SAMPLES, SAMPLE_RATE_HZ, WINDOW_FRAMES, LogMel
from whisper_serving.token_rules import SECONDS_PER_TIMESTAMP, Vocabulary
from whisper_serving.window_decoding import DecodedWindow
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.transcript import Segment

_COMPRESSION_RATIO_THRESHOLD: Final = 2.4
_LOGPROB_THRESHOLD: Final = -1.0
_NO_SPEECH_THRESHOLD: Final = 0.6
# Text that was found by much sampling is no good guide to what follows.
_PROMPT_RESET_TEMPERATURE: Final = 0.5

_FRAMES_PER_TIMESTAMP: Final = round(SECONDS_PER_TIMESTAMP * FRAMES_PER_SECOND)


class WindowRecogniser(Protocol):
    """One framework's model, a window at a time."""

    def decode(self, mel: torch.Tensor, prompt: Sequence[int], temperature: float, beam_size: int | None) -> DecodedWindow:
        """mel: float32 [n_mels, 3000]. prompt: what was said before, newest last, without marks."""
        ...

    def text_of(self, tokens: Sequence[int]) -> str: ...

    def tokens_of(self, text: str) -> list[int]: ...


@dataclass(frozen=True)
class HeardSegment:
    """A segment and the tokens of its text. window: [first frame, frames] that it was heard in."""

    segment: Segment
    tokens: Sequence[int]
    window: tuple[int, int]


def compression_ratio(text: str) -> float:
    """How much shorter zlib makes it: text that repeats itself is over 2.4. Source: openai-whisper utils.py."""
    encoded = text.encode()
    return len(encoded) / len(zlib.compress(encoded))


def recognise_windows(
    mel: LogMel, recogniser: WindowRecogniser, vocabulary: Vocabulary, options: TranscriptionOptions
) -> list[HeardSegment]:
    """Every window of the recording, in order. Segments without text are left out."""
    said = _first_prompt(recogniser, options)
    remembered_from, seek = 0, 0
    heard: list[HeardSegment] = []
    while seek < mel.n_frames:
        n_frames = min(WINDOW_FRAMES, mel.n_frames - seek)
        result = _decode_with_fallback(mel.window(seek, n_frames), said[remembered_from:], recogniser, options)
        if result.no_speech_prob > _NO_SPEECH_THRESHOLD and result.avg_logprob <= _LOGPROB_THRESHOLD:
            seek += n_frames
            continue
        pieces, advance = _split(result.tokens, n_frames, vocabulary)
        for start, end, tokens in pieces:
            words = [token for token in tokens if token < vocabulary.end_of_text]
            text = recogniser.text_of(words)
            if start == end or not text.strip():
                continue
            said += tokens
            whole = recogniser.text_of([token for token in result.tokens if token < vocabulary.end_of_text])
            segment = Segment(
                id=len(heard),
                # A window's end may be padding.
                start=min(seek / FRAMES_PER_SECOND + start, mel.seconds),
                end=min(seek / FRAMES_PER_SECOND + end, mel.seconds),
                text=text,
                avg_logprob=result.avg_logprob,
                compression_ratio=compression_ratio(whole),
                no_speech_prob=result.no_speech_prob,
                temperature=result.temperature,
            )
            heard.append(HeardSegment(segment, words, (seek, n_frames)))
        if result.temperature > _PROMPT_RESET_TEMPERATURE:
            remembered_from = len(said)
        seek += advance
    return heard


def _first_prompt(recogniser: WindowRecogniser, options: TranscriptionOptions) -> list[int]:
    text = " ".join(part.strip() for part in (options.hotwords, options.initial_prompt) if part and part.strip())
    return recogniser.tokens_of(f" {text}") if text else []


def _decode_with_fallback(
    mel: torch.Tensor, prompt: Sequence[int], recogniser: WindowRecogniser, options: TranscriptionOptions
) -> DecodedWindow:
    """The first temperature whose text looks right, else the last one's."""
    for temperature in options.temperature:
        result = recogniser.decode(mel, prompt, temperature, options.beam_size)
        repeats = compression_ratio(recogniser.text_of(result.tokens)) > _COMPRESSION_RATIO_THRESHOLD
        doubtful = result.avg_logprob < _LOGPROB_THRESHOLD
        silent = doubtful and result.no_speech_prob > _NO_SPEECH_THRESHOLD
        if silent or not (repeats or doubtful):
            break
    return result


def _split(
    tokens: Sequence[int], n_frames: int, vocabulary: Vocabulary
) -> tuple[list[tuple[float, float, Sequence[int]]], int]:
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
