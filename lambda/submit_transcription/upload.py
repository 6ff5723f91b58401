"""What the intake queue holds: uploads, as EventBridge tells them, and turns of jobs that have waited.

Keys arrive raw here, other than in S3's own notifications, where they are URL-encoded: decoding one again would turn the upload
`50%20off.wav` into one that does not exist.
"""

import json
from dataclasses import dataclass
from typing import Any

from whisperstack_contract.jobs import SourceVersion
from whisperstack_contract.messages import read_turn


@dataclass(frozen=True)
class Upload:
    source: SourceVersion
    size_bytes: int


@dataclass(frozen=True)
class Turn:
    """Of a job that has waited to be submitted."""

    job_id: str


def parse_message(body: str) -> Upload | Turn:
    """The upload in an EventBridge event "Object Created" of a versioned bucket, or the turn. Raises ValueError else."""
    try:
        message: Any = json.loads(body)
    except (ValueError, RecursionError):
        message = None
    job_id = read_turn(message)
    return Turn(job_id) if job_id else _upload(message)


def _upload(event: Any) -> Upload:
    try:
        detail_type, detail = event["detail-type"], event["detail"]
        bucket, uploaded = detail["bucket"]["name"], detail["object"]
        key, version_id, size_bytes = uploaded["key"], uploaded["version-id"], uploaded["size"]
    except (KeyError, TypeError) as error:
        raise ValueError("the message is not an S3 event of a versioned bucket; check what feeds the intake queue") from error
    if detail_type != "Object Created":
        raise ValueError(f"the event is {detail_type!r}; the intake queue takes 'Object Created' only; check the rule")
    names = (bucket, key, version_id)
    if not all(isinstance(name, str) and name for name in names) or type(size_bytes) is not int or size_bytes < 0:
        raise ValueError("the event lacks a bucket name, a key, a version id or a size; check what feeds the intake queue")
    return Upload(SourceVersion(bucket, key, version_id), size_bytes)
