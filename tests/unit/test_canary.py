"""The canary tells a release that transcribes from one that does not, and never wakes an endpoint or keeps it awake."""

import io
import json
import zipfile
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from moto import mock_aws

from infra.function_code import stage_function
from transcribe_canary.canary import SPOKEN, Canary, Verdict
from transcribe_canary.settings import Settings
from whisperstack_contract.jobs import parse_inference_id

BUCKET = "audio"
OUTPUT, FAILURE = "raw/canary/x/transcript.json", "failures/x-error.out"
DEPLOYING = {"PendingDeploymentSummary": {"EndpointConfigName": "new"}}


class Clock:
    """Time that passes when someone waits; `then` happens during the first wait."""

    def __init__(self, then=None):
        self.now, self._then = 0.0, then

    def __call__(self):
        return self.now

    def pause(self, seconds):
        self.now += seconds
        if self._then:
            self._then()
            self._then = None


@pytest.fixture(autouse=True)
def sample(tmp_path, tmp_path_factory, monkeypatch):
    """The recording that goes into the function's zip, from there."""
    code = stage_function("transcribe_canary", target=tmp_path_factory.getbasetemp() / "canary.zip")
    with zipfile.ZipFile(code.path) as archive:
        monkeypatch.setattr("transcribe_canary.canary.SAMPLE", Path(archive.extract("transcribe_canary/sample.mp3", tmp_path)))


@pytest.fixture
def s3(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket=BUCKET)
        yield s3


@pytest.fixture
def run(s3):
    """Runs the canary once against an endpoint in that state; `answer` is what the endpoint writes, where and what."""
    sent = []

    def once(*, scheduled=False, status="InService", instances=1, answer=None, **endpoint):
        sagemaker = boto3.client("sagemaker", region_name="us-east-1")
        runtime = boto3.client("sagemaker-runtime", region_name="us-east-1")
        clock = Clock(then=(lambda: s3.put_object(Bucket=BUCKET, Key=answer[0], Body=answer[1])) if answer else None)
        described = {
            "EndpointName": "whisper",
            "EndpointArn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/whisper",
            "EndpointStatus": status,
            "CreationTime": 0,
            "LastModifiedTime": 0,
            "ProductionVariants": [{"VariantName": "Whisper", "CurrentInstanceCount": instances}],
            **endpoint,
        }
        request = {
            "EndpointName": "whisper",
            "InputLocation": f"s3://{BUCKET}/staged/canary",
            "ContentType": "audio/mpeg",
            "InferenceId": ANY,
            "RequestTTLSeconds": 480,
            "S3OutputPathExtension": ANY,
            "Filename": "transcript.json",
        }
        response = {"OutputLocation": f"s3://{BUCKET}/{OUTPUT}", "FailureLocation": f"s3://{BUCKET}/{FAILURE}"}
        with Stubber(sagemaker) as endpoints, Stubber(runtime) as invocations:
            endpoints.add_response("describe_endpoint", described, {"EndpointName": "whisper"})
            invocations.add_response("invoke_endpoint_async", response, request)
            runtime.meta.events.register("provide-client-params.*", lambda params, **_: sent.append(params))
            settings = Settings("whisper", BUCKET, 480)
            return Canary(settings, sagemaker, runtime, s3, clock, clock.pause).run(scheduled=scheduled)

    once.sent = sent
    return once


def transcript(text):
    return OUTPUT, json.dumps({"text": text}).encode()


def test_the_words_of_the_sample_are_a_pass(run, s3):
    assert run(answer=transcript(" Ask not what your COUNTRY can do for you.")) is Verdict.PASSED
    assert s3.get_object(Bucket=BUCKET, Key="staged/canary")["Body"].read()[:3] == b"ID3"


@pytest.mark.parametrize(
    "answer",
    [
        transcript("Thanks for watching!"),
        (OUTPUT, b"no JSON"),
        (OUTPUT, b'["a list"]'),
        (OUTPUT, json.dumps({"text": None}).encode()),
        (FAILURE, b'{"error": {}}'),
    ],
)
def test_other_words_or_none_or_an_error_are_a_failure(run, answer):
    assert run(answer=answer) is Verdict.FAILED


def test_no_answer_is_a_failure_where_an_instance_was_there_to_give_one(run):
    assert run() is Verdict.FAILED


def test_no_answer_says_nothing_while_the_first_instance_of_an_update_is_still_starting(run):
    assert run(status="Updating", instances=0, **DEPLOYING) is Verdict.UNANSWERED


def test_an_update_is_tried_out_by_the_clock(run):
    assert run(scheduled=True, status="Updating", answer=transcript(SPOKEN), **DEPLOYING) is Verdict.PASSED


@pytest.mark.parametrize(
    "state",
    [
        {"scheduled": True, "instances": 1},
        {"scheduled": True, "instances": 0},
        {"scheduled": False, "instances": 0},
        # Scaling in and out shows as "Updating" too, without a deployment.
        {"scheduled": True, "instances": 1, "status": "Updating"},
        {"scheduled": False, "instances": 0, "status": "Updating"},
        # Nobody can be invoked before there is an endpoint, or after it failed.
        {"scheduled": False, "instances": 0, "status": "Creating", **DEPLOYING},
        {"scheduled": False, "instances": 1, "status": "Failed"},
    ],
)
def test_an_endpoint_that_rests_or_is_to_rest_is_left_alone(run, state):
    assert run(**state) is Verdict.SKIPPED
    assert run.sent == []


def test_its_result_is_taken_for_nobodys_job(run):
    run(answer=transcript(SPOKEN))
    (request,) = run.sent
    assert parse_inference_id(request["InferenceId"]) is None
    assert len(request["InferenceId"]) <= 64


TRANSCRIPT = json.dumps({"text": f"ask not what your {SPOKEN}"}).encode()


@pytest.fixture
def ask(s3):
    """Runs the canary of a real-time endpoint, which gives these answers one after the other: a body or an error."""

    def once(*answers, status="InService"):
        sagemaker = boto3.client("sagemaker", region_name="us-east-1")
        runtime = boto3.client("sagemaker-runtime", region_name="us-east-1")
        described = {
            "EndpointName": "whisper",
            "EndpointArn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/whisper",
            "EndpointStatus": status,
            "CreationTime": 0,
            "LastModifiedTime": 0,
            "ProductionVariants": [{"VariantName": "Whisper", "CurrentInstanceCount": 1}],
        }
        request = {"EndpointName": "whisper", "ContentType": "audio/mpeg", "Body": ANY}
        clock = Clock()
        with Stubber(sagemaker) as endpoints, Stubber(runtime) as invocations:
            endpoints.add_response("describe_endpoint", described, {"EndpointName": "whisper"})
            for answer in answers:
                if isinstance(answer, bytes):
                    invocations.add_response("invoke_endpoint", {"Body": io.BytesIO(answer)}, request)
                else:
                    code, original = answer
                    fields = {"OriginalStatusCode": original} if original else {}
                    invocations.add_client_error("invoke_endpoint", code, modeled_fields=fields, expected_params=request)
            verdict = Canary(Settings("whisper", None, 10), sagemaker, runtime, s3, clock, clock.pause).run(scheduled=True)
            invocations.assert_no_pending_responses()
        return verdict

    return once


def test_a_real_time_endpoint_is_asked_by_the_clock_since_it_runs_anyway(ask):
    assert ask(TRANSCRIPT) is Verdict.PASSED
    assert ask(b'{"text": "Thanks for watching!"}') is Verdict.FAILED


def test_a_model_that_answers_with_an_error_has_failed(ask):
    assert ask(("ModelError", 400)) is Verdict.FAILED


@pytest.mark.parametrize(
    ("busy", "in_the_end"),
    [
        # The container's own refusals are server errors, which have an alarm that knows overload.
        (("ModelError", 503), Verdict.UNANSWERED),
        (("ServiceUnavailable", None), Verdict.FAILED),
        (("ThrottlingException", None), Verdict.FAILED),
    ],
)
def test_an_endpoint_that_is_busy_is_asked_again_until_the_time_is_up(ask, busy, in_the_end):
    assert ask(busy, busy, TRANSCRIPT) is Verdict.PASSED
    assert ask(*[busy] * 6) is in_the_end


def test_not_being_allowed_to_ask_says_nothing_of_the_release(ask):
    with pytest.raises(ClientError, match="AccessDenied"):
        ask(("AccessDeniedException", None))


@pytest.mark.parametrize("status", ["Creating", "Failed", "Deleting"])
def test_a_real_time_endpoint_that_does_not_serve_is_not_asked(ask, status):
    assert ask(status=status) is Verdict.SKIPPED
