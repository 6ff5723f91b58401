"""openai-whisper's own transcribe, to the letter, given the spectrogram window by window.

Before it begins, transcribe() computes the spectrogram of the whole recording, which takes more than a gigabyte for an hour.
All it does with it afterwards is to ask for its length and to cut windows out of it.
"""

from types import FunctionType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from whisper.audio import N_FRAMES
from whisper.model import Whisper
from whisper.transcribe import transcribe

from whisper_serving.log_mel import LogMel


class _Windows:
    """What transcribe() asks of float32 [n_mels, n_frames], behind which there are 30 s of padding."""

    def __init__(self, mel: LogMel) -> None:
        self._mel = mel
        self.shape = (mel.n_mels, mel.n_frames + N_FRAMES)

    def __getitem__(self, index: tuple[slice, slice]) -> torch.Tensor:
        _, frames = index
        n_frames = frames.stop - frames.start
        return self._mel.window(frames.start, n_frames, n_frames)


def transcribe_windows(model: Whisper, samples: NDArray[np.float32], mel: LogMel, **options: Any) -> dict[str, Any]:
    """mel: of the samples. options: of transcribe(), with the language."""

    def spectrogram(*_args: Any, **_kwargs: Any) -> _Windows:
        return _Windows(mel)

    # The same code with one name bound anew, for this call alone: nothing of the module changes.
    names = {**transcribe.__globals__, "log_mel_spectrogram": spectrogram}
    run = FunctionType(transcribe.__code__, names, transcribe.__name__, transcribe.__defaults__, transcribe.__closure__)
    run.__kwdefaults__ = transcribe.__kwdefaults__
    return run(model, samples, **options)  # type: ignore[no-any-return]
