"""From a request to a transcript, with whatever engine was loaded."""

import time
from collections.abc import Sequence
from itertools import chain
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from whisper_serving.audio import decode
from whisper_serving.loudness import loud_spans
from whisper_serving.recognition import Recognition, in_order, with_text_only
from whisper_serving.request import Request
from whisper_serving.settings import Settings
from whisper_serving.speech import Span, load_network, speech_spans, whole
from whisper_serving.time_limit import time_limit
from whisper_serving.trust import doubts
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.transcript import Provenance, Transcript

_UNDETERMINED: Final = "und"  # ISO 639-2, where nobody said and nobody spoke


class Engine(Protocol):
    """Runs a model. engine, model: as the archive's manifest names them. numerics: fast or exact."""

    engine: str
    model: str
    numerics: str
    only_language: str | None

    def check_options(self, options: TranscriptionOptions) -> None:
        """Raises InvalidOptionsError where this model cannot do what is asked."""
        ...

    def recognise(self, samples: NDArray[np.float32], options: TranscriptionOptions, speech: Sequence[Span]) -> Recognition:
        """samples: float32 [n] in -1..1, mono, 16 kHz. speech: where to listen, at least one span, in order and apart.

        Raises OutOfMemoryError where the smallest batch still takes too much memory.
        """
        ...


class Transcriber:
    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        load_network()

    @property
    def settings(self) -> Settings:
        return self._settings

    def transcribe(self, request: Request) -> Transcript:
        """Raises TranscriptionError."""
        with time_limit(self._settings.answer_seconds):
            return self._transcribe(request)

    def _transcribe(self, request: Request) -> Transcript:
        # Before decoding, which can take minutes.
        self._engine.check_options(request.options)
        started = time.perf_counter()
        recording = decode(request.audio, self._settings, request.options)
        decoded = time.perf_counter()
        speech = speech_spans(recording.samples)
        detected = time.perf_counter()
        if listen := speech if request.options.vad else whole(recording.samples):
            recognition = self._engine.recognise(recording.samples, request.options, listen)
        else:
            language = request.options.language or self._engine.only_language or _UNDETERMINED
            recognition = Recognition(language, (), () if request.options.word_timestamps else None)
        recognition = in_order(with_text_only(recognition), recording.facts.decoded_seconds)
        recognised = time.perf_counter()
        return Transcript(
            task=request.options.task,
            language=recognition.language,
            duration=recording.facts.decoded_seconds,
            text="".join(segment.text for segment in recognition.segments).strip(),
            segments=tuple(recognition.segments),
            words=None if recognition.words is None else tuple(chain.from_iterable(recognition.words)),
            whisperstack=Provenance(
                engine=self._engine.engine,
                model=self._engine.model,
                model_digest=self._settings.model_digest,
                numerics=self._engine.numerics,
                audio=recording.facts,
                timings={
                    "decode_seconds": decoded - started,
                    "speech_detection_seconds": detected - decoded,
                    "inference_seconds": recognised - detected,
                },
                warnings=(*recording.warnings, *doubts(recognition, speech, loud_spans(recording.samples, speech))),
                language_probability=recognition.language_probability,
                speech_seconds=sum(span.end - span.start for span in speech),
            ),
        )
