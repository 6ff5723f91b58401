"""What an application does with the real-time endpoint: a recording in, a transcript out. Plain boto3."""

import json
import mimetypes
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from botocore.exceptions import ClientError

from local.deployment import Deployment
from local.embedded_aws import EmbeddedAws
from local.recordings import Recording
from whisperstack_contract.transcript import Transcript

_UNKNOWN_TYPE: Final = "application/octet-stream"


@dataclass(frozen=True)
class RealtimeResult:
    """transcript: None where there is none; `code` and `reason` say why. seconds: from request to answer."""

    recording: Recording
    transcript: Transcript | None
    seconds: float
    code: str = ""
    reason: str = ""


def transcribe_in_real_time(
    aws: EmbeddedAws, deployment: Deployment, recordings: Sequence[Recording]
) -> Iterator[RealtimeResult]:
    """Send one recording after the other and yield each answer."""
    for recording in recordings:
        began = time.monotonic()
        try:
            answer = aws.client("sagemaker-runtime").invoke_endpoint(
                EndpointName=deployment.realtime_endpoint_name,
                Body=recording.path.read_bytes(),
                ContentType=mimetypes.guess_type(recording.path.name)[0] or _UNKNOWN_TYPE,
                Accept="application/json",
            )
            transcript = Transcript.from_json(answer["Body"].read().decode("utf-8"))
        except ClientError as error:
            code, reason = _refusal(error)
            yield RealtimeResult(recording, None, time.monotonic() - began, code, reason)
        except OSError as error:
            yield RealtimeResult(recording, None, time.monotonic() - began, "unreadable", str(error))
        else:
            yield RealtimeResult(recording, transcript, time.monotonic() - began)


def _refusal(error: ClientError) -> tuple[str, str]:
    """Code and sentence: the model's own where it answered, else SageMaker's."""
    response: dict[str, Any] = {**error.response}
    if response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return "too_large_for_real_time", f"{response['Error']['Message']}; MODE=async takes it"
    try:
        document = json.loads(response["OriginalMessage"])["error"]
        return str(document["code"]), str(document["message"])
    except (KeyError, TypeError, ValueError):
        return str(response["Error"]["Code"]), str(error)
