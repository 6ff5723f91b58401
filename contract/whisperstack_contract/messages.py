"""What the functions put into each other's queues, in the form in which AWS puts the same into them.

A message that something was lost looks like what was lost, so that there is one way in which it is handled.
"""

import json
from typing import Any

from whisperstack_contract.jobs import SourceVersion, inference_id


def turn(job_id: str) -> str:
    """To the intake queue: it is the job's turn to be submitted."""
    return json.dumps({"turn": job_id})


def read_turn(message: Any) -> str | None:
    """The job whose turn it is, or None for another message."""
    job_id = message.get("turn") if isinstance(message, dict) else None
    return job_id if isinstance(job_id, str) else None


def uploaded(source: SourceVersion, size_bytes: int) -> str:
    """To the intake queue: an upload. Source: Amazon S3 user guide, "EventBridge event message structure"."""
    uploaded = {"key": source.key, "size": size_bytes, "version-id": source.version_id}
    return json.dumps(
        {"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {"name": source.bucket}, "object": uploaded}}
    )


def completed(job_id: str, attempt: int, output_location: str) -> str:
    """To the results queue: the endpoint has answered. Source: SageMaker developer guide, "Check prediction results"."""
    return json.dumps(
        {
            "inferenceId": inference_id(job_id, attempt),
            "invocationStatus": "Completed",
            "responseParameters": {"outputLocation": output_location},
        }
    )


def failed(job_id: str, attempt: int, failure_location: str, reason: str) -> str:
    """To the results queue: the endpoint has failed on a request."""
    return json.dumps(
        {
            "inferenceId": inference_id(job_id, attempt),
            "invocationStatus": "Failed",
            "failureReason": reason,
            "responseParameters": {"failureLocation": failure_location},
        }
    )
