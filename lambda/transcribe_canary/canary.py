"""Whether the endpoint still transcribes: a known sample in, its words out."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from botocore.exceptions import ClientError

from transcribe_canary.settings import Settings
from whisperstack_contract.keys import CANARY_KEY, RAW_FILENAME, canary_extension
from whisperstack_contract.limits import ASYNC_REQUEST_TTL_SECONDS_LEAST

SAMPLE: Final = Path(__file__).with_name("sample.mp3")
# A word that even the smallest model hears in the sample, in whatever case and punctuation.
SPOKEN: Final = "country"

_POLL_SECONDS: Final = 2.0
_CONTENT_TYPE: Final = "audio/mpeg"
# Source: sagemaker-runtime API model, InvokeEndpoint; and the names that SageMaker really sends for the first of them.
_MODEL_ERROR: Final = "ModelError"
_BUSY: Final = frozenset({"ServiceUnavailable", "ServiceUnavailableException", "ThrottlingException", "ModelNotReadyException"})
_SERVING: Final = frozenset({"InService", "Updating", "SystemUpdating"})


class Verdict(StrEnum):
    """skipped: not asked. unanswered: no answer in time, for want of an instance, or because all had other requests."""

    PASSED = "passed"
    FAILED = "failed"
    UNANSWERED = "unanswered"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Canary:
    settings: Settings
    sagemaker: Any
    runtime: Any
    s3: Any
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep

    def run(self, *, scheduled: bool) -> Verdict:
        """scheduled: by the clock, rather than because the endpoint has changed."""
        endpoint = self.sagemaker.describe_endpoint(EndpointName=self.settings.endpoint_name)
        instances = sum(variant.get("CurrentInstanceCount", 0) for variant in endpoint.get("ProductionVariants", ()))
        if endpoint["EndpointStatus"] not in _SERVING:
            return Verdict.SKIPPED
        if self.settings.audio_bucket is None:
            return self._ask()
        # "Updating" says little: scaling shows as that too, and to wake what is just going to rest would never end.
        deploying = "PendingDeploymentSummary" in endpoint
        if not (deploying or (instances and not scheduled)):
            return Verdict.SKIPPED
        verdict = self._ask_through(self.settings.audio_bucket)
        return Verdict.FAILED if verdict is Verdict.UNANSWERED and instances else verdict

    def _ask(self) -> Verdict:
        """Of a real-time endpoint, which answers at once or says that it is busy."""
        deadline = self.clock() + self.settings.wait_seconds
        while True:
            try:
                answer = self.runtime.invoke_endpoint(
                    EndpointName=self.settings.endpoint_name, ContentType=_CONTENT_TYPE, Body=SAMPLE.read_bytes()
                )
            except ClientError as error:
                if not _is_busy(error):
                    if error.response["Error"]["Code"] == _MODEL_ERROR:
                        return Verdict.FAILED
                    raise
                if self.clock() >= deadline:
                    return _given_up(error)
            else:
                return Verdict.PASSED if _holds_the_words(answer["Body"].read()) else Verdict.FAILED
            self.pause(_POLL_SECONDS)

    def _ask_through(self, audio_bucket: str) -> Verdict:
        """Of an asynchronous endpoint: the sample goes into the bucket, and the answer comes out of another."""
        self.s3.put_object(Bucket=audio_bucket, Key=CANARY_KEY, Body=SAMPLE.read_bytes())
        name = f"canary-{uuid4()}"
        answer = self.runtime.invoke_endpoint_async(
            EndpointName=self.settings.endpoint_name,
            InputLocation=f"s3://{audio_bucket}/{CANARY_KEY}",
            ContentType=_CONTENT_TYPE,
            InferenceId=name,
            # Nobody waits for it any longer than we do.
            RequestTTLSeconds=max(self.settings.wait_seconds, ASYNC_REQUEST_TTL_SECONDS_LEAST),
            S3OutputPathExtension=canary_extension(name),
            Filename=RAW_FILENAME,
        )
        deadline = self.clock() + self.settings.wait_seconds
        while self.clock() < deadline:
            if (transcript := self._read(answer["OutputLocation"])) is not None:
                return Verdict.PASSED if _holds_the_words(transcript) else Verdict.FAILED
            if self._read(answer.get("FailureLocation")) is not None:
                return Verdict.FAILED
            self.pause(_POLL_SECONDS)
        return Verdict.UNANSWERED

    def _read(self, location: str | None) -> bytes | None:
        if not location:
            return None
        bucket, _, key = location.removeprefix("s3://").partition("/")
        try:
            body: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return None
        return body


def _is_busy(error: ClientError) -> bool:
    """Whether the endpoint has no room just now, rather than being broken."""
    if error.response["Error"]["Code"] == _MODEL_ERROR:
        return error.response.get("OriginalStatusCode") == HTTPStatus.SERVICE_UNAVAILABLE
    return error.response["Error"]["Code"] in _BUSY


def _given_up(error: ClientError) -> Verdict:
    """The container refuses for want of room or of workers: each refusal is a server error, and that alarm tells which.

    A failure here would undo every update at a busy time.
    """
    return Verdict.UNANSWERED if error.response["Error"]["Code"] == _MODEL_ERROR else Verdict.FAILED


def _holds_the_words(transcript: bytes) -> bool:
    try:
        text = json.loads(transcript)["text"]
    except (ValueError, KeyError, TypeError):
        return False
    return isinstance(text, str) and SPOKEN in text.lower()
