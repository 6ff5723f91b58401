"""An hour takes no more memory than ten minutes, but for its samples."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.serving.conftest import PROJECT
from whisper_serving.audio import decode
from whisper_serving.settings import Settings

# openai-whisper and the models' tokenizers leave files for the garbage collector to close.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*tiktoken:ResourceWarning")

# Less than the log-mel spectrogram of the fifty minutes between, which is 96 MB.
_MOST_GROWTH_BYTES = 60e6

_MEASURE = """
import json, sys
from pathlib import Path
import numpy as np, torch
from whisper_serving.engines import load_engine
from whisper_serving.settings import Settings
from whisper_serving.speech import Span
from whisperstack_contract.options import TranscriptionOptions
torch.set_num_threads(1)
folder, numerics, phrase, every = sys.argv[1], sys.argv[2], np.load(sys.argv[3]), int(sys.argv[4])
engine = load_engine(Path(folder), Settings("", "", numerics=numerics))
second = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * np.float32(1e-3)
for minutes in (10, 60):
    samples = np.tile(second, minutes * 60)
    spans = []
    for start in range(0, minutes * 60, every):
        samples[start * 16_000 :][: len(phrase)] = phrase
        spans.append(Span(start, start + len(phrase) / 16_000))
    found = engine.recognise(samples, TranscriptionOptions(temperature=(0.0,)), spans)
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
    heard = sum("Americans" in segment.text for segment in found.segments)
    print(json.dumps({"bytes": peak - samples.nbytes, "heard": heard >= len(spans)}))
    del samples
"""


@pytest.mark.parametrize(
    ("engine", "seconds_between"),
    # Side by side, ten minutes must fill a batch. What takes long is left to its own target.
    [
        ("fast", 36),
        pytest.param("exact", 600, marks=pytest.mark.slow),
        pytest.param("huggingface", 600, marks=pytest.mark.slow),
    ],
)
def test_an_hour_takes_no_more_memory_than_ten_minutes(
    engine: str,
    seconds_between: int,
    model_folder: Path,
    huggingface_folder: Path,
    jfk: bytes,
    settings: Settings,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Peaks of one process, with a phrase now and then. Of its samples, one copy counts for the recording."""
    phrase = tmp_path / "phrase.npy"
    np.save(phrase, decode(jfk, settings).samples[: 3 * 16_000])
    folder = huggingface_folder if engine == "huggingface" else model_folder
    numerics = "fast" if engine == "fast" else "exact"
    command = [sys.executable, "-c", _MEASURE, str(folder), numerics, str(phrase), str(seconds_between)]
    path = f"{PROJECT / 'contract'}:{PROJECT / 'inference'}"
    run = subprocess.run(command, check=True, capture_output=True, text=True, env={"PYTHONPATH": path})
    short, long = map(json.loads, run.stdout.splitlines())
    record_property("growth_bytes", long["bytes"] - short["bytes"])
    assert short["heard"]
    assert long["heard"]
    assert long["bytes"] - short["bytes"] < _MOST_GROWTH_BYTES, (short, long)
