"""The demo as a user runs it: what it prints, how it ends, and that it leaves no process behind."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from local.embedded_aws import PROJECT

SENTENCE = "ask not what your country can do for you"
MARK = "WHISPERSTACK_TEST_OF_THE_DEMO"
STAGES = [
    "Start the embedded AWS",
    "Build the model artefact",
    "Synthesize the templates",
    "Bootstrap the account",
    "Deploy the storage stack",
    "Publish the model artefact",
    "Deploy all stacks",
    "Check that every resource is there",
    "Wait for the endpoint",
    "Upload and transcribe",
]


def start_demo(*paths):
    """The demo in a session of its own, as in a terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "local", "demo", *map(str, paths)],
        cwd=PROJECT,
        # A profile and a proxy of the world outside, which must not matter.
        env={
            **os.environ,
            "PYTHONPATH": "contract",
            MARK: "1",
            "AWS_PROFILE": "of-another-account",
            "HTTP_PROXY": "http://127.0.0.1:9",
            "http_proxy": "http://127.0.0.1:9",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def processes_of_the_demo():
    """The command of every process that a demo of ours started, directly or not.

    Most have inherited its environment; functions and endpoints have not, but name its folder.
    """
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        command = " ".join(process.info["cmdline"] or [])
        if MARK in (process.info["environ"] or {}) or str(PROJECT / "build" / "local" / "demo") in command:
            found.append(command)
    return found


@pytest.fixture
def nothing_left():
    assert processes_of_the_demo() == []
    yield
    assert processes_of_the_demo() == []


@pytest.mark.usefixtures("nothing_left")
def test_the_demo_prints_the_sentence_the_keys_and_the_times():
    output, _ = (demo := start_demo()).communicate(timeout=180)
    assert demo.returncode == 0, output
    assert SENTENCE in " ".join(output.split())
    for suffix in ("json", "txt", "srt", "vtt"):
        assert f"/transcripts/jfk.mp3.{suffix}" in output
    for stage in STAGES:
        assert output.count(stage) >= 3, f"{stage}: start, end and time"


@pytest.mark.usefixtures("nothing_left")
def test_a_folder_with_a_bad_file_shows_every_result_and_fails(tmp_path):
    (tmp_path / "good one.mp3").write_bytes((PROJECT / "samples" / "jfk.mp3").read_bytes())
    (tmp_path / "notes.mp3").write_text("no sound in here\n" * 50)
    (tmp_path / "two\nlines.mp3").write_text("the embedded AWS cannot take this name\n")
    output, _ = (demo := start_demo(tmp_path)).communicate(timeout=180)
    assert demo.returncode == 1, output
    assert SENTENCE in " ".join(output.split())
    assert "not_audio" in output
    assert "not uploaded" in output
    assert "1 of 3 recordings transcribed." in output
    assert f"/errors/{tmp_path.name}/notes.mp3.error.json" in output


def test_a_path_that_does_not_exist_is_one_sentence():
    output, _ = (demo := start_demo("nowhere.mp3")).communicate(timeout=60)
    assert demo.returncode == 1
    assert output.strip() == "nowhere.mp3 is neither a file nor a folder; give the path of a recording"


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupt_in_any_stage_leaves_nothing_running(stage, eventually):
    with start_demo() as demo:
        for line in demo.stdout:
            if line.startswith("…") and stage in line:
                break
        if stage.startswith(("Build", "Synthesize", "Bootstrap", "Deploy", "Publish")):
            eventually(lambda: any("leash.py" in " ".join(child.cmdline()) for child in psutil.Process(demo.pid).children()))
        os.killpg(demo.pid, signal.SIGINT)
        output = demo.stdout.read()
        assert demo.wait(timeout=30) == 130, output
    assert "Interrupted; nothing is left running." in output
    assert "Traceback" not in output
