"""Recordings of any length, many windows at a time.

Windows are cut in pauses beforehand, so none waits for the timestamps of the one before. Where a window's own timestamps end
before its sound does, the rest of it is a window of the next round, as in openai-whisper's loop. What looks wrong is heard once
more, alone and with openai-whisper's 30 s of padding, at its temperatures. docs/performance.md says what each step gives.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch

from whisper_serving.fast_model import FastModel
from whisper_serving.log_mel import FRAMES_PER_SECOND, LogMel
from whisper_serving.long_form import HeardSegment, is_silent, looks_right, segments_of, split
from whisper_serving.speech_windows import Window
from whisper_serving.window_decoding import DecodedWindow
from whisperstack_contract.options import TranscriptionOptions

# Windows end where speech does. A text that ends longer before that has left something out: it is heard again, then the rest.
_LONGEST_SILENT_END_FRAMES: Final = 2 * FRAMES_PER_SECOND

# A shorter rest holds no word that the window's timestamps would have left out.
_SHORTEST_REST_FRAMES: Final = round(0.5 * FRAMES_PER_SECOND)


@dataclass(frozen=True)
class Hearing:
    """What one window's sound came to. sound: the encoder's output, [n, width]."""

    window: Window
    sound: torch.Tensor
    result: DecodedWindow


class BatchedRecogniser:
    """One recording. prompt: before every window, up to and with the start-of-transcript sequence.

    most_rows: windows at once, or beams or candidates of one.
    """

    def __init__(
        self, model: FastModel, mel: LogMel, prompt: Sequence[int], options: TranscriptionOptions, most_rows: int
    ) -> None:
        self._model, self._mel, self._options = model, mel, options
        self._prompt, self._most_rows = prompt, most_rows

    def hear(self, windows: Sequence[Window]) -> Iterator[Hearing]:
        """The rests of windows come after the windows themselves. Who keeps a hearing keeps its sound in memory."""
        waiting = list(windows)
        while waiting:
            # Of one length, so that no row of a batch waits for a much longer one.
            waiting.sort(key=lambda window: window.n_frames, reverse=True)
            rests: list[Window] = []
            for first in range(0, len(waiting), self._most_rows):
                for decoded in self._decode(waiting[first : first + self._most_rows]):
                    hearing = self._improve(decoded)
                    yield hearing
                    if (rest := self._rest(hearing)) is not None:
                        rests.append(rest)
            waiting = rests

    def segments_of(self, hearing: Hearing) -> list[HeardSegment]:
        if is_silent(hearing.result):
            return []
        vocabulary, (start, n_frames) = self._model.tokenizer.vocabulary, hearing.window
        pieces, _ = split(hearing.result.tokens, n_frames, vocabulary)
        # What is filled up holds no sound, though the model may set a time in it.
        seconds = n_frames / FRAMES_PER_SECOND
        within = [(begin, min(end, seconds) if begin < seconds else end, tokens) for begin, end, tokens in pieces]
        return segments_of(within, hearing.result, (start, n_frames), self._model.tokenizer, vocabulary)

    def _decode(self, windows: Sequence[Window]) -> list[Hearing]:
        sounds = [self._model.encode(self._mel, window) for window in windows]
        temperature = self._options.temperature[0]
        if temperature > 0 or (self._options.beam_size or 1) > 1:
            results = [self._decode_alone(sound, temperature) for sound in sounds]
        else:
            steps = self._model.begin(sounds)
            results = self._model.window_decoder.decode_greedily(steps, self._prompt, len(sounds))
        return [Hearing(*found) for found in zip(windows, sounds, results, strict=True)]

    def _improve(self, hearing: Hearing) -> Hearing:
        """The same, unless it looks wrong: then what the first temperature makes of it that looks right, or the last one."""
        if looks_right(hearing.result, self._model.tokenizer) and not self._ends_early(hearing):
            return hearing
        hearing = replace(hearing, sound=self._model.encode(self._mel, hearing.window, padded=True))
        for temperature in self._options.temperature:
            hearing = replace(hearing, result=self._decode_alone(hearing.sound, temperature))
            if looks_right(hearing.result, self._model.tokenizer):
                break
        return hearing

    def _ends_early(self, hearing: Hearing) -> bool:
        """Whether it says that nothing more comes while there is more sound."""
        if is_silent(hearing.result):
            return False
        end, closed = self._end_of(hearing)
        return closed and hearing.window.n_frames - end > _LONGEST_SILENT_END_FRAMES

    def _end_of(self, hearing: Hearing) -> tuple[int, bool]:
        """(frames that its timestamps cover, whether nothing more comes by them)."""
        n_frames = hearing.window.n_frames
        pieces, heard = split(hearing.result.tokens, n_frames, self._model.tokenizer.vocabulary)
        _, end, _ = pieces[-1]
        return (round(end * FRAMES_PER_SECOND), True) if heard == n_frames else (heard, False)

    def _decode_alone(self, sound: torch.Tensor, temperature: float) -> DecodedWindow:
        # The same window gives the same text, whatever was sampled before.
        torch.manual_seed(0)
        steps = self._model.begin([sound])
        return self._model.window_decoder.decode(steps, self._prompt, temperature, self._options.beam_size, self._most_rows)

    def _rest(self, hearing: Hearing) -> Window | None:
        """What the window's timestamps leave of it."""
        start, n_frames = hearing.window
        if is_silent(hearing.result):
            return None
        heard, closed = self._end_of(hearing)
        if closed and not self._ends_early(hearing):
            return None
        # A text that ends where it began would never come to its end.
        if heard < _SHORTEST_REST_FRAMES or n_frames - heard < _SHORTEST_REST_FRAMES:
            return None
        return Window(start + heard, n_frames - heard)
