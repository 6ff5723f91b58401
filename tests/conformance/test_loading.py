"""From the start of a stack to its first answer, and what becomes of archives that cannot be served."""

import json
import time
import zipfile
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from infra.function_code import stage_function
from tests.conformance.answers import SENTENCE, error_of, text_of
from tests.conformance.conftest import MODEL, OF_THE_STACK, Container, replace_file
from tests.conformance.serving_stack import RunningStack
from transcribe_canary.canary import Canary, Verdict
from transcribe_canary.settings import Settings
from whisper_serving.vendored import interpreter_tag

LOAD_SECONDS = 8
TIMEOUT_SECONDS = 15


def _slow(archive: Path) -> None:
    handler = archive / "code" / "inference.py"
    slow = f"import time\n\n_fast = model_fn\n\ndef model_fn(model_dir, context=None):\n    time.sleep({LOAD_SECONDS})\n"
    replace_file(handler, handler.read_text() + "\n\n" + slow + "    return _fast(model_dir, context)\n")


def _wrong_weights(archive: Path) -> None:
    weights = archive / json.loads((archive / "whisperstack.json").read_text())["weights"]
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    replace_file(weights, bytes(content))


def _broken_import(archive: Path) -> None:
    replace_file(archive / "code" / "whisper_serving" / "engines.py", "import a_package_that_is_nowhere\n")


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """The deployed canary, whose asynchronous endpoint is a stack here: canary(stack) is its verdict."""
    code = stage_function("transcribe_canary", target=tmp_path / "canary.zip")
    with zipfile.ZipFile(code.path) as archive:
        monkeypatch.setattr("transcribe_canary.canary.SAMPLE", Path(archive.extract("transcribe_canary/sample.mp3", tmp_path)))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")

    def verdict(stack: RunningStack) -> Verdict:
        with mock_aws():
            s3 = boto3.client("s3", region_name="us-east-1")
            s3.create_bucket(Bucket="audio")
            endpoint = AsynchronousEndpoint(stack, s3)
            canary = Canary(Settings("whisper", "audio", wait_seconds=60), endpoint, endpoint, s3, pause=time.sleep)
            return canary.run(scheduled=False)

    return verdict


class AsynchronousEndpoint:
    """SageMaker's part: a request goes to the container, its answer by its status to the output or the failure location."""

    def __init__(self, stack: RunningStack, s3) -> None:
        self._stack, self._s3 = stack, s3

    def describe_endpoint(self, **_):
        return {"EndpointStatus": "InService", "ProductionVariants": [{"CurrentInstanceCount": 1}]}

    def invoke_endpoint_async(self, *, InputLocation, ContentType, **_):  # noqa: N803  # boto3's names
        key = InputLocation.removeprefix("s3://audio/")
        body = self._s3.get_object(Bucket="audio", Key=key)["Body"].read()
        answer = self._stack.invoke(body, ContentType)
        self._s3.put_object(Bucket="audio", Key="output" if answer.status == 200 else "failure", Body=answer.body)
        return {"OutputLocation": "s3://audio/output", "FailureLocation": "s3://audio/failure"}


@pytest.mark.short
@pytest.mark.of_the_stack
def test_the_first_request_waits_for_a_slow_load(container: Container, deployed, recording):
    with container.run("slow", deployed, _slow) as stack:
        # /ping said 200 already: on these stacks it cannot wait.
        answer = stack.invoke(recording("mp3"))
        assert SENTENCE in text_of(answer)
        assert answer.seconds > LOAD_SECONDS / 2


@pytest.mark.short
def test_wrong_weights_are_told_to_every_request_and_seen_by_the_canary(container: Container, deployed, recording, canary):
    with container.run("wrong-weights", deployed, _wrong_weights) as stack:
        assert stack.ping() == 200  # as in AWS: only a request tells
        _require_unavailable(stack, recording, "has the SHA-256")
        assert canary(stack) is Verdict.FAILED


@pytest.mark.of_the_stack
def test_a_broken_handler_is_told_to_every_request_and_seen_by_the_canary(container: Container, deployed, recording, canary):
    with container.run("broken-import", deployed, _broken_import) as stack:
        _require_unavailable(stack, recording, "could not be loaded")
        assert canary(stack) is Verdict.FAILED


@pytest.mark.of_the_stack
def test_a_gpu_template_without_a_usable_gpu_serves_nothing_from_the_cpu(container: Container, recording):
    """With the whole table of a template for GPU instances, on whatever machine this is."""
    variables = {**container.template_variables("dev"), "CUDA_VISIBLE_DEVICES": ""}
    assert variables["WHISPERSTACK_HARDWARE"] == "gpu"
    with container.run("gpu", variables) as stack:
        _require_unavailable(stack, recording, "can use no GPU here")


def _require_unavailable(stack: RunningStack, recording, told: str) -> None:
    for _ in range(2):
        error = error_of(stack.invoke(recording("mp3")))
        assert (error.code, error.retryable) == ("model_unavailable", True)
        assert told in error.message


@pytest.mark.of_the_stack
@pytest.mark.parametrize("content", [None, "raise RuntimeError('broken')\n"], ids=["absent", "raises"])
def test_without_the_handler_nothing_else_is_served(container: Container, deployed, recording, content):
    """The Hugging Face toolkit would serve a default pipeline of its own."""

    def damage(archive: Path) -> None:
        handler = archive / "code" / "inference.py"
        handler.unlink()
        if content is not None:
            replace_file(handler, content)

    with container.run("no-handler", deployed, damage) as stack:
        try:
            answer = stack.invoke(recording("flac"), "audio/x-flac", seconds=20)
        except OSError:
            return  # no worker to answer
        assert answer.status >= 400
        assert SENTENCE not in answer.text
    with container.emulate("no-handler", deployed, damage) as emulated:
        assert emulated.invoke(recording("flac"), "audio/x-flac").status == answer.status


@pytest.mark.of_the_stack
def test_the_response_timeout_is_the_one_that_is_set(container: Container, deployed):
    """With the template's variables and a small value in place of theirs."""

    def stuck(archive: Path) -> None:
        handler = archive / "code" / "inference.py"
        # The toolkits count the parameters.
        parameters = "model, body, content_type, accept, context"
        slow = (
            f"import time\n\n_answer = transform_fn\n\ndef transform_fn({parameters}=None):\n"
            f"    if body == b'stuck':\n        time.sleep(300)\n    return _answer({parameters})\n"
        )
        replace_file(handler, handler.read_text() + "\n\n" + slow)

    names = [name for name in deployed if "TIMEOUT" in name]
    assert names
    with container.run("timeout", {**deployed, **dict.fromkeys(names, str(TIMEOUT_SECONDS))}, stuck) as stack:
        # The load is over, so that the time that is measured is the handler's.
        assert error_of(stack.invoke(b"")).code == "empty_file"
        answer = stack.invoke(b"stuck", seconds=100)
        assert answer.status >= 500
        assert TIMEOUT_SECONDS <= answer.seconds < 3 * TIMEOUT_SECONDS


def test_the_pytorch_image_decodes_with_the_ffmpeg_that_its_archive_carries(archives, tmp_path, recording):
    """The archive's packages are for the image's Python; of them, this one fits any."""
    container = Container(OF_THE_STACK["torchserve"], archives("pytorch", MODEL, "--with-ffmpeg"), tmp_path)

    def use_it(archive: Path) -> None:
        (carried,) = archive.glob("code/vendor/*/imageio_ffmpeg")
        folder = archive / "code" / "vendor" / interpreter_tag()
        folder.mkdir()
        carried.rename(folder / carried.name)

    with container.run("ffmpeg", container.template_variables(), use_it) as stack:
        assert SENTENCE in text_of(stack.invoke(recording("m4a")))
        assert len(container.temporary_files("whisperstack-ffmpeg-*/ffmpeg")) == 1
