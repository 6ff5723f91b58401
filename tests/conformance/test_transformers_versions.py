"""The exact Hugging Face engine gives the same with transformers 4.51.3, which the toolkit here needs, and with the newest 5.x.

The serving image has a version between them. The handler runs in each environment's own interpreter.
"""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.conformance.conftest import Archives
from tests.conformance.serving_stack import PYTHON

SCRIPT = Path(__file__).with_name("transformers_run.py")
OLDEST = "4.51.3"
ONE_PASS = {"temperature": [0.0]}
CHUNK_SECONDS = 12


@pytest.fixture(scope="module")
def answers(archives: Archives, recorded):
    """By the version of transformers: what the handler answers to each request, with Whisper base, which is multilingual."""
    # 44 s: more than the 3,000 frames that the model hears at once.
    short, long = str(recorded("mp3")), str(recorded("long.mp3", "-filter:a", "aloop=loop=3:size=1000000"))
    chunks = {"WHISPERSTACK_CHUNK_LENGTH_SECONDS": str(CHUNK_SECONDS)}
    requests = [
        (long, {"vad": False, **ONE_PASS}, {}),
        (short, {"language": "es", **ONE_PASS}, {}),
        (short, {"language": "es", "task": "translate", **ONE_PASS}, {}),
        (long, {"vad": False, **ONE_PASS}, chunks),
    ]
    model = archives("huggingface", "base")
    found = [_run(python, model, requests) for python in (Path(sys.executable), PYTHON)]
    return {run["version"]: run["answers"] for run in found}


def _run(python: Path, model: Path, requests):
    finished = subprocess.run(
        [python, "-I", "-B", str(SCRIPT), str(model)],
        input=json.dumps(requests),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        # `fast` does without transformers.
        env={"PATH": "/usr/bin:/bin", "WHISPERSTACK_MODEL_DIGEST": "0" * 64, "WHISPERSTACK_NUMERICS": "exact"},
    )
    return json.loads(finished.stdout)


def test_the_versions_are_the_oldest_and_the_newest(answers):
    assert sorted(answers) == sorted([OLDEST, version("transformers")])
    assert version("transformers").startswith("5.")


def test_more_than_3000_frames_are_heard_to_the_end_with_timestamps(answers):
    for transcript, *_ in answers.values():
        assert transcript["text"].lower().count("what you can do for your country") == 4
        _require_timestamps_to_the_end(transcript)


def test_no_window_holds_more_than_the_chunk_length(answers):
    for *_, in_chunks in answers.values():
        assert max(segment["end"] - segment["start"] for segment in in_chunks["segments"]) <= CHUNK_SECONDS
        # What lies on a chunk's edge may be lost, so the text is not counted.
        assert "country" in in_chunks["segments"][-1]["text"]
        _require_timestamps_to_the_end(in_chunks)


def _require_timestamps_to_the_end(transcript):
    assert transcript["duration"] == pytest.approx(44, abs=0.2)
    ends = [segment["end"] for segment in transcript["segments"]]
    assert ends == sorted(ends)
    assert 40 < ends[-1] <= transcript["duration"]


def test_language_and_task_are_the_ones_that_were_asked_for(answers):
    for _, spanish, translated, _ in answers.values():
        assert (spanish["language"], spanish["task"]) == ("es", "transcribe")
        assert "país" in spanish["text"]
        assert (translated["language"], translated["task"]) == ("es", "translate")
        assert "your country" in translated["text"]


def test_both_versions_give_the_same(answers):
    oldest, newest = ([_heard(transcript) for transcript in found] for found in answers.values())
    assert oldest == newest


def _heard(transcript):
    return [(segment["start"], segment["end"], segment["text"]) for segment in transcript["segments"]]
