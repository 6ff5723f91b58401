"""Whether the endpoint still transcribes: a known sample in, its words out."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from transcribe_canary.settings import Settings
from whisperstack_contract.keys import CANARY_KEY, RAW_FILENAME, canary_extension
from whisperstack_contract.limits import ASYNC_REQUEST_TTL_SECONDS_LEAST

SAMPLE: Final = Path(__file__).with_name("sample.mp3")
# A word that even the smallest model hears in the sample, in whatever case and punctuation.
SPOKEN: Final = "country"

_POLL_SECONDS: Final = 2.0
_SERVING: Final = frozenset({"InService", "Updating", "SystemUpdating"})


class Verdict(StrEnum):
    """skipped: not asked. unanswered: no answer in time, and there was no instance that could have given one."""

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
        # "Updating" says little: scaling shows as that too, and to wake what is just going to rest would never end.
        deploying = "PendingDeploymentSummary" in endpoint
        if endpoint["EndpointStatus"] not in _SERVING or not (deploying or (instances and not scheduled)):
            return Verdict.SKIPPED
        verdict = self._ask()
        return Verdict.FAILED if verdict is Verdict.UNANSWERED and instances else verdict

    def _ask(self) -> Verdict:
        self.s3.put_object(Bucket=self.settings.audio_bucket, Key=CANARY_KEY, Body=SAMPLE.read_bytes())
        name = f"canary-{uuid4()}"
        answer = self.runtime.invoke_endpoint_async(
            EndpointName=self.settings.endpoint_name,
            InputLocation=f"s3://{self.settings.audio_bucket}/{CANARY_KEY}",
            ContentType="audio/mpeg",
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


def _holds_the_words(transcript: bytes) -> bool:
    try:
        text = json.loads(transcript)["text"]
    except (ValueError, KeyError, TypeError):
        return False
    return isinstance(text, str) and SPOKEN in text.lower()
