"""One start in a process of its own: python -m bench.startup_worker ENGINE MODEL_FOLDER RECORDING STARTED

STARTED: the monotonic clock just before the process was made. Prints how long it took until the model was there, until a first
answer after that, and until a second one. RECORDING: empty for a load alone.
"""

import sys
import time
from collections.abc import Callable

# Before everything else, as a user's own program would be: what this file imports at the top counts for every engine.
_ORIGINAL = "openai-whisper"
_IMPORTS = "import transformers"


def main(engine: str, folder: str, recording: str, started: float) -> None:
    if engine == _IMPORTS:
        from transformers import WhisperForConditionalGeneration  # noqa: F401
    elif engine == _ORIGINAL:
        ask = _original(folder, recording)
    else:
        ask = _ours(folder, recording)
    times = [time.monotonic()]
    for _ in range(2 if recording else 0):
        text = ask()
        times.append(time.monotonic())
        if "country" not in text:
            raise SystemExit(f"{engine} did not understand the recording: {text}")
    sys.stdout.write(" ".join(str(end - begin) for begin, end in zip([started, *times[:-1]], times, strict=True)))


def _original(folder: str, recording: str) -> Callable[[], str]:
    import whisper

    model = whisper.load_model(f"{folder}/whisper.pt", device="cpu")

    def ask() -> str:
        from bench.models import settings
        from whisper_serving.audio import decode

        with open(recording, "rb") as file:  # noqa: PTH123
            samples = decode(file.read(), settings()).samples
        return str(model.transcribe(samples, fp16=False)["text"])

    return ask


def _ours(folder: str, recording: str) -> Callable[[], str]:
    import inference

    model = inference.model_fn(folder)
    if isinstance(model, inference.UnavailableModel):
        raise SystemExit(model.reason)

    def ask() -> str:
        with open(recording, "rb") as file:  # noqa: PTH123
            body = file.read()
        return str(inference.transform_fn(model, body, "audio/mpeg", "application/json"))

    return ask


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))
