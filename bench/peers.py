"""The engines that are measured, each as its users call it. Every one transcribes float32 samples, 16 kHz, to plain text."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Transcribe = Callable[[Samples, str | None], str]

# As in the AWS article's handler: windows of 30 s, eight at a time.
_CHUNK_SECONDS: Final = 30
_PIPELINE_BATCH: Final = 8
_DIGEST: Final = "0" * 64  # of no archive: what is measured goes nowhere
_BATCH: Final = 16  # faster-whisper's own example


@dataclass(frozen=True)
class Weights:
    """The same weights in each form: archives of ours, unpacked, and a CTranslate2 folder."""

    pytorch: Path
    huggingface: Path
    ctranslate2: Path


def ours(engine: str, numerics: str) -> Callable[[Weights, str, int], Transcribe]:
    """With its speech detection, which users get as well."""

    def load(weights: Weights, device: str, _threads: int) -> Transcribe:
        from whisper_serving.engines import load_engine
        from whisper_serving.settings import Settings
        from whisper_serving.speech import speech_spans
        from whisperstack_contract.options import TranscriptionOptions

        hardware = {"WHISPERSTACK_HARDWARE": "gpu"} if device == "cuda" else {}
        environment = {"WHISPERSTACK_MODEL_DIGEST": _DIGEST, "WHISPERSTACK_NUMERICS": numerics, **hardware}
        loaded = load_engine(getattr(weights, engine), Settings.from_environment(environment))

        def transcribe(samples: Samples, language: str | None) -> str:
            options = TranscriptionOptions(language=language)
            return "".join(segment.text for segment in loaded.recognise(samples, options, speech_spans(samples)).segments)

        return transcribe

    return load


def encoder_alone(weights: Weights, device: str, threads: int) -> Transcribe:
    """What the fast engine's encoder takes: no text, and so no engine, but what none of the others can be faster than."""
    from whisper_serving.fast_engine import FastEngine
    from whisper_serving.log_mel import LogMel
    from whisper_serving.speech import speech_spans
    from whisper_serving.speech_windows import cut_into_windows
    from whisperstack_contract.limits import CHUNK_LENGTH_SECONDS

    del threads  # set for the whole process
    engine = FastEngine.load(weights.pytorch, "gpu" if device == "cuda" else None, CHUNK_LENGTH_SECONDS)

    @torch.inference_mode()
    def encode(samples: Samples, _language: str | None) -> str:
        mel = LogMel(samples, engine.weights.filters)
        for window in cut_into_windows(samples, speech_spans(samples)):
            engine.weights.encode(mel, window)
        return ""

    return encode


def openai_whisper(weights: Weights, device: str, _threads: int) -> Transcribe:
    import whisper

    model = whisper.load_model(str(weights.pytorch / "whisper.pt"), device=device)
    return lambda samples, language: str(model.transcribe(samples, language=language, fp16=device == "cuda")["text"])


def pipeline(beams: int | None) -> Callable[[Weights, str, int], Transcribe]:
    """beams: None for the pipeline's own default."""

    def load(weights: Weights, device: str, _threads: int) -> Transcribe:
        from transformers import pipeline as make

        recogniser: Any = make(
            "automatic-speech-recognition",
            model=str(weights.huggingface),
            chunk_length_s=_CHUNK_SECONDS,
            batch_size=_PIPELINE_BATCH,
            device=device,
        )
        if recogniser.tokenizer.pad_token_id is None:
            recogniser.tokenizer.pad_token_id = recogniser.model.config.eos_token_id
        generation: dict[str, Any] = {} if beams is None else {"num_beams": beams}
        multilingual = recogniser.model.generation_config.is_multilingual

        def transcribe(samples: Samples, language: str | None) -> str:
            wanted = generation | ({"language": language} if multilingual and language is not None else {})
            return str(recogniser({"raw": samples, "sampling_rate": 16_000}, generate_kwargs=wanted)["text"])

        return transcribe

    return load


def faster_whisper(*, batched: bool) -> Callable[[Weights, str, int], Transcribe]:
    def load(weights: Weights, device: str, threads: int) -> Transcribe:
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        kind = "int8_float16" if device == "cuda" else "int8"
        model: Any = WhisperModel(str(weights.ctranslate2), device=device, compute_type=kind, cpu_threads=threads)
        if not batched:
            return lambda samples, language: "".join(found.text for found in model.transcribe(samples, language=language)[0])
        batch: Any = BatchedInferencePipeline(model)
        return lambda samples, language: "".join(
            found.text for found in batch.transcribe(samples, language=language, batch_size=_BATCH)[0]
        )

    return load


FLOOR: Final = "encoder alone"
ENGINES: Final[dict[str, Callable[[Weights, str, int], Transcribe]]] = {
    "fast": ours("pytorch", "fast"),
    FLOOR: encoder_alone,
    "exact": ours("pytorch", "exact"),
    "huggingface": ours("huggingface", "exact"),
    "huggingface-fast": ours("huggingface", "fast"),
    "openai-whisper": openai_whisper,
    "pipeline": pipeline(None),
    "pipeline-greedy": pipeline(1),
    "faster-whisper": faster_whisper(batched=False),
    "faster-whisper-batched": faster_whisper(batched=True),
}
