"""Folders of recordings through the deployed workflow: mixed input, repeated starts, executions that are killed anywhere."""

import json
import struct
import subprocess
import sys
import time
import wave
import zipfile
from collections import Counter
from contextlib import contextmanager
from io import BytesIO

import imageio_ffmpeg
import pytest

from local.embedded_aws import PROJECT
from whisperstack_contract import keys
from whisperstack_contract.jobs import JobState, job_id
from whisperstack_contract.limits import MIB

RATE = 16_000
MARKER = "_START"


@pytest.fixture(scope="session")
def spoken():
    """Samples of the recording: 16-bit, mono."""
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(PROJECT / "samples" / "jfk.mp3")]
    done = subprocess.run([*ffmpeg, "-f", "s16le", "-ac", "1", "-ar", str(RATE), "-"], capture_output=True, check=True)
    return done.stdout


def sound(samples):
    buffer = BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def clip(spoken):
    """The n-th clip of a second and a half."""

    def cut(number):
        start = 2 * (number * 700 % (len(spoken) // 2 - 2 * RATE))
        return sound(spoken[start : start + 3 * RATE])

    return cut


def padded(wav, size):
    """The same sound in a file of `size` bytes and more, an even number: a chunk that no decoder looks at stands before it."""
    padding = b"JUNK" + struct.pack("<I", size) + bytes(size)
    body = b"WAVE" + padding + wav[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


# Bad in ten ways; the first three are recordings that hold no sound, the others no recordings.
BAD = {
    "empty.mp3": b"",
    "header only.wav": sound(b""),
    "no samples.flac": b"fLaC" + bytes(200),
    "text.mp3": b"no sound in here\n" * 50,
    "page.m4a": b"<html><body>404 Not Found</body></html>" * 5,
    "picture.ogg": b"\x89PNG\r\n\x1a\n" + bytes(500),
    "archive.wav": b"PK\x03\x04" + bytes(500),
    "list of files.wav": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "zeros.aac": bytes(5000),
    "paper.mp4": b"%PDF-1.7\n" + bytes(range(256)) * 4,
}

# Names that something on the way could trip over.
NAMES = [
    "plain",
    "with space",
    "plus+and&amp",
    "schön größe",
    "日本語",
    "percent%20",
    "quote'\"s",
    "a/deep/er",
    "tr~ailing.",
    "(1)",
]


class Batch:
    """Runs of one folder."""

    def __init__(self, pipeline, folder):
        self.pipeline, self.prefix = pipeline, f"{keys.BATCH_PREFIX}{folder}/"
        self.states = pipeline.aws.client("stepfunctions")
        self.machine, self.sources = pipeline.deployment.batch_state_machine, []

    def put(self, name, body):
        self.sources.append(self.pipeline.put(self.prefix + name, body))
        return self.sources[-1]

    def start(self):
        given = json.dumps({"prefix": self.prefix})
        return self.states.start_execution(stateMachineArn=self.machine, input=given)["executionArn"]

    def executions(self):
        pages = self.states.get_paginator("list_executions").paginate(stateMachineArn=self.machine)
        return [each["executionArn"] for page in pages for each in page["executions"]]

    def given(self, execution):
        return json.loads(self.describe(execution)["input"])

    def describe(self, execution):
        return self.states.describe_execution(executionArn=execution)

    def entered(self, execution):
        events = self.states.get_execution_history(executionArn=execution)["events"]
        return [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]

    def report(self, execution, seconds=300):
        """What a run that has succeeded says of itself."""
        deadline = time.monotonic() + seconds
        while (described := self.describe(execution))["status"] == "RUNNING":
            assert time.monotonic() < deadline, self.entered(execution)[-3:]
            time.sleep(0.1)
        assert described["status"] == "SUCCEEDED", (described.get("error"), described.get("cause"), self.entered(execution))
        output = json.loads(described["output"])
        assert json.loads(self.pipeline.read(output["reports"]["json"]))["counts"] == output["counts"]
        return output

    def run(self, seconds=300):
        return self.report(self.start(), seconds)

    def results(self):
        """Key → version of everything that came of the folder, but for its reports."""
        name = self.prefix.removeprefix(keys.BATCH_PREFIX)
        s3, found = self.pipeline.aws.client("s3"), {}
        for prefix in (keys.BATCH_TRANSCRIPTS_PREFIX, keys.BATCH_ERRORS_PREFIX):
            pages = s3.get_paginator("list_object_versions").paginate(
                Bucket=self.pipeline.deployment.transcripts_bucket, Prefix=f"{prefix}{name}"
            )
            versions = [version for page in pages for version in page.get("Versions", [])]
            assert {version["IsLatest"] for version in versions} <= {True}, "nothing was written twice"
            found |= {version["Key"]: version["VersionId"] for version in versions}
        return found

    def transcribed(self, sources):
        """How often each recording went through a model in a transform job."""
        staged = {keys.staged_key(job_id(source)): source.key for source in sources}
        asked = (request["object"].split("/", 3)[3] for request in self.pipeline.requests if request["status"] == 200)
        return Counter(staged[key] for key in asked if key in staged)

    def job_prefix(self):
        """What the names of the folder's transform jobs begin with: as a run of it has named its own."""
        mine = {keys.staged_key(job_id(source)) for source in self.sources}
        names = (request["job"] for request in self.pipeline.requests if request["object"].split("/", 3)[3] in mine)
        return "-".join(next(names).split("-")[:3]) + "-"

    def transform_jobs(self):
        pages = self.pipeline.aws.client("sagemaker").get_paginator("list_transform_jobs").paginate()
        return {job["TransformJobName"] for page in pages for job in page["TransformJobSummaries"]}


# (all, bad, too large, done before): in `make test`, and as `make batch-test` has it.
@pytest.mark.parametrize(
    ("files", "bad", "large", "done"),
    [(20, 5, 1, 2), pytest.param(200, 10, 2, 5, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])],
)
def test_a_mixed_folder_comes_to_its_end_and_a_second_run_finds_nothing_to_do(pipeline, clip, files, bad, large, done):
    batch = Batch(pipeline, f"mixed of {files}")
    finished = [batch.put(f"done/{NAMES[n]}.wav", clip(n)) for n in range(done)]
    assert batch.run()["counts"]["succeeded"] == done
    before = batch.results()
    assert len(before) == 4 * done

    good = [batch.put(f"{NAMES[n % len(NAMES)]} {n}.wav", clip(n)) for n in range(files - bad - large - done)]
    broken = [batch.put(name, body) for name, body in list(BAD.items())[:bad]]
    too_large = [batch.put(f"large {n}.wav", padded(clip(n), 8 * MIB + 2 * n)) for n in range(large)]
    report = batch.run(1500)
    counts = report["counts"]
    assert (report["recordings"], counts["unfinished"]) == (files, 0)
    assert (counts["succeeded"], counts["sent_on"], counts["done"]) == (len(good), large, done)
    assert counts["failed"] + counts["rejected"] == bad

    # The large ones are transcribed by the asynchronous endpoint, whose end is announced like any other.
    ends = {source: pipeline.end_of(source, 300) for source in (*good, *broken, *too_large)}
    assert {ends[source].state for source in (*good, *too_large)} == {JobState.SUCCEEDED}
    assert {ends[source].state for source in broken} <= {JobState.FAILED, JobState.REJECTED}
    for source in broken:
        assert pipeline.error(ends[source])["code"]
    assert pipeline.read(ends[good[0]].outputs["txt"]).strip()
    after = batch.results()
    transcripts = {key for key in after if key.startswith(keys.BATCH_TRANSCRIPTS_PREFIX) and key.endswith(".json")}
    errors = {key for key in after if key.startswith(keys.BATCH_ERRORS_PREFIX)}
    assert (len(transcripts), len(errors)) == (files - bad, bad)
    assert {key: after[key] for key in before} == before
    assert set(batch.transcribed(finished).values()) == {1}
    assert set(batch.transcribed(good).values()) == {1}
    assert batch.transcribed(too_large) == {}

    jobs = batch.transform_jobs()
    again = batch.run()["counts"]
    assert batch.transform_jobs() == jobs
    assert (again["succeeded"], again["failed"], again["sent_on"], again["unfinished"]) == (0, 0, 0, 0)
    assert again["done"] == files - bad
    assert batch.results() == after


def orphan(batch):
    """A transform job as a killed execution may leave it behind: of this folder, at work, and nobody waits for it."""
    aws, bucket = batch.pipeline.aws, batch.pipeline.deployment.audio_bucket
    name = next(name for name in batch.transform_jobs() if name.startswith(batch.job_prefix()))
    former = aws.client("sagemaker").describe_transform_job(TransformJobName=name)
    manifest = f"{keys.BATCH_WORK_PREFIX}orphan/manifest.json"
    body = json.dumps([{"prefix": f"s3://{bucket}/{keys.STAGED_PREFIX}"}, "nobody"])
    aws.client("s3").put_object(Bucket=bucket, Key=manifest, Body=body)
    former["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] = f"s3://{bucket}/{manifest}"
    asked = ("ModelName", "TransformInput", "TransformOutput", "TransformResources", "Environment")
    left = f"{batch.job_prefix()}orphan"
    aws.client("sagemaker").create_transform_job(TransformJobName=left, **{member: former[member] for member in asked})
    return left


# In the order in which a run comes through them. The last three take too little time to be met, so their function is held in
# them, by the names that it has for them.
STATES = ["Recover", "Page", "Shard", "Shards"]
HELD = ["collect", "leftovers", "report"]

_HOLD = """
import time
from collect_batch.handler import lambda_handler as go_on

def lambda_handler(event, context):
    if event["action"] == {action!r}:
        print("held in", {action!r}, flush=True)
        time.sleep(600)
    return go_on(event, context)
"""


@contextmanager
def held(pipeline, action):
    """The collecting function stops where it is asked for that, for longer than the test waits."""
    name, functions = pipeline.function("collect_batch"), pipeline.aws.client("lambda")
    bucket, key = pipeline.function_code("collect_batch")
    content = BytesIO(pipeline.aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr("hold.py", _HOLD.format(action=action))
    usual = functions.get_function_configuration(FunctionName=name)["Handler"]
    functions.update_function_code(FunctionName=name, ZipFile=content.getvalue())
    functions.update_function_configuration(FunctionName=name, Handler="hold.lambda_handler")
    try:
        yield
    finally:
        functions.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key=key)
        functions.update_function_configuration(FunctionName=name, Handler=usual)


def test_a_folder_whose_runs_are_killed_in_every_state_is_transcribed_in_the_end_and_nothing_twice(pipeline, clip, eventually):
    batch = Batch(pipeline, "killed")
    sources = [batch.put(f"{n}.wav", clip(n)) for n in range(6)]
    sources += [batch.put("large.wav", padded(clip(1), 8 * MIB))]
    bad = batch.put("text.mp3", BAD["text.mp3"])

    def kill_in(state, is_there):
        execution = batch.start()
        eventually(lambda: is_there(execution) or batch.describe(execution)["status"] != "RUNNING", seconds=120)
        assert batch.describe(execution)["status"] == "RUNNING", f"it came to its end before it was met in {state}"
        batch.states.stop_execution(executionArn=execution, error="Test", cause="killed")

    for state in STATES[:-1]:
        kill_in(state, lambda execution: state in batch.entered(execution))  # noqa: B023  # called in this round only
    kill_in("Shards", lambda _: batch.transcribed(sources))
    log = pipeline.aws.surroundings.logs / "functions" / f"{pipeline.function('collect_batch')}.log"
    for action in HELD:
        with held(pipeline, action):
            kill_in(action, lambda _: log.exists() and f"held in {action}" in log.read_text())  # noqa: B023
    left = orphan(batch)
    batch.run()
    described = pipeline.aws.client("sagemaker").describe_transform_job(TransformJobName=left)
    assert described["TransformJobStatus"] == "Stopped", "a job that nobody waits for is stopped, and its end awaited"
    ends = [pipeline.end_of(source, 300) for source in sources]
    assert {end.state for end in ends} == {JobState.SUCCEEDED}
    assert pipeline.read(ends[0].outputs["txt"]).strip()
    assert pipeline.error(pipeline.end_of(bad))["code"] == "not_audio"
    assert set(batch.transcribed(sources[:-1]).values()) == {1}, "no stored output was made twice"
    assert len([key for key in batch.results() if key.endswith(".json")]) == len([*sources, bad])


def test_a_marker_starts_a_run_once_however_often_its_event_comes(pipeline, clip, eventually):
    batch = Batch(pipeline, "märked 'x'")
    source = batch.put("a b.wav", clip(3))
    marker = batch.put(MARKER, b"")
    assert pipeline.end_of(source).state is JobState.SUCCEEDED
    (real,) = [each for each in batch.executions() if batch.given(each).get("start_key") == marker.key]
    # While it runs, to start it again by its name succeeds and does nothing.
    batch.report(real)
    (event,) = [each for each in batch.executions() if key_of(batch.given(each)) == marker.key]
    repeated = batch.states.start_execution(stateMachineArn=batch.machine, input=json.dumps(batch.given(event)))["executionArn"]
    eventually(lambda: batch.describe(repeated)["status"] == "SUCCEEDED")
    assert batch.entered(repeated)[-1] == "StartedBefore"
    assert [each for each in batch.executions() if batch.given(each).get("start_key") == marker.key] == [real]


def key_of(event):
    return event.get("detail", {}).get("object", {}).get("key")


def operate(pipeline, *arguments):
    command = [sys.executable, "-m", "operations", "batch", *arguments, "--env", "local"]
    done = subprocess.run(command, cwd=PROJECT, env=pipeline.aws.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_operator_starts_watches_and_stops_a_batch(pipeline, speech):
    batch = Batch(pipeline, "operated")
    # Enough work that the commands find it under way.
    sources = [batch.put(f"{n}.mp3", speech) for n in range(8)]
    assert operate(pipeline, "status", batch.prefix) == f"no batch of {batch.prefix} was found\n"
    assert "would be started" in operate(pipeline, "start", batch.prefix, "--dry-run")
    started = operate(pipeline, "start", batch.prefix)
    execution = started.split()[-1]
    again = operate(pipeline, "start", batch.prefix.rstrip("/"))
    assert again.startswith(f"left alone: {execution}")
    shown = operate(pipeline, "status", execution)
    assert f"folder       {batch.prefix}" in shown
    assert "would be stopped" in operate(pipeline, "stop", batch.prefix, "--dry-run")
    assert operate(pipeline, "stop", batch.prefix) == f"stopped: {execution}\n"
    assert operate(pipeline, "stop", batch.prefix).startswith("left alone")
    assert "status       aborted" in operate(pipeline, "status", batch.prefix)
    batch.run()
    assert {pipeline.end_of(source).state for source in sources} == {JobState.SUCCEEDED}
