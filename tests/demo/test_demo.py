"""The demo as a user runs it: what it prints, how it ends, and that it leaves no process behind."""

import wave
from io import BytesIO
from pathlib import Path

from local.embedded_aws import PROJECT
from tests.demo.demo_process import STAGES

SENTENCE = "ask not what your country can do for you"


def test_the_demo_prints_the_sentence_the_keys_and_the_times(demo):
    output, _ = (run := demo.start()).communicate(timeout=180)
    assert run.returncode == 0, output
    assert SENTENCE in " ".join(output.split())
    for suffix in ("json", "txt", "srt", "vtt"):
        assert f"/transcripts/jfk.mp3.{suffix}" in output
    for stage in STAGES:
        assert output.count(stage) >= 3, f"{stage}: start, end and time"


def test_the_other_engine_from_unpacked_files_shows_every_result_of_a_folder_with_bad_files_and_fails(demo, tmp_path):
    (tmp_path / "good one.mp3").write_bytes((PROJECT / "samples" / "jfk.mp3").read_bytes())
    (tmp_path / "notes.mp3").write_text("no sound in here\n" * 50)
    (tmp_path / "two\nlines.mp3").write_text("the embedded AWS cannot take this name\n")
    output, _ = (run := demo.start("--engine", "huggingface", "--layout", "unpacked", tmp_path)).communicate(timeout=180)
    assert run.returncode == 1, output
    assert SENTENCE in " ".join(output.split())
    assert "not_audio" in output
    assert "not uploaded" in output
    assert "1 of 3 recordings transcribed." in output
    assert f"/errors/{tmp_path.name}/notes.mp3.error.json" in output


def test_a_path_that_does_not_exist_is_one_sentence(demo):
    output, _ = (run := demo.start("nowhere.mp3")).communicate(timeout=60)
    assert run.returncode == 1
    assert output.strip() == "nowhere.mp3 is neither a file nor a folder; give the path of a recording"


def test_in_real_time_the_demo_prints_the_answers_and_why_one_was_refused(demo, tmp_path):
    (tmp_path / "good.mp3").write_bytes((PROJECT / "samples" / "jfk.mp3").read_bytes())
    (tmp_path / "notes.mp3").write_text("no sound in here\n" * 50)
    with (tmp_path / "large.wav").open("wb") as file:
        file.truncate(26 * 1024**2)
    output, _ = (run := demo.start("--mode", "realtime", tmp_path)).communicate(timeout=180)
    assert run.returncode == 1, output
    assert SENTENCE in " ".join(output.split())
    assert "refused (not_audio)" in output
    assert "MODE=async takes it" in " ".join(output.split())
    assert "1 of 3 recordings transcribed." in output


def test_in_a_batch_the_demo_prints_a_table_and_keeps_the_report(demo, tmp_path):
    recording = (PROJECT / "samples" / "jfk.mp3").read_bytes()
    (tmp_path / "a good one.mp3").write_bytes(recording)
    (tmp_path / "cut.wav").write_bytes(wav_that_ends_early())
    (tmp_path / "notes.mp3").write_text("no sound in here\n" * 50)
    output, _ = (run := demo.start("--mode", "batch", tmp_path)).communicate(timeout=240)
    assert run.returncode == 1, output
    table = " ".join(output.replace("│", " ").split())
    for word in SENTENCE.split():
        assert word in table
    assert "truncated_audio" in table
    assert "not_audio" in table
    assert "The run: 1 succeeded, 1 partial, 1 failed" in output
    assert "1 of 3 recordings transcribed." in output
    (report,) = (line.partition(": ")[2] for line in output.splitlines() if line.startswith("A copy that stays"))
    assert "notes.mp3" in Path(report).read_text()


def wav_that_ends_early():
    """A tenth of a second of silence whose header speaks of ten."""
    content = BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16_000 * 10))
    return content.getvalue()[: 44 + 2 * 1600]
