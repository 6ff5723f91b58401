"""What became of the transform jobs of one shard: there are several where one was tried again."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

_ENDED: Final = frozenset({"Completed", "Failed", "Stopped"})
_REASON_CHARS: Final = 300


@dataclass(frozen=True)
class TransformJob:
    """started: whether it got its instances. instance_seconds: of all of them. reason: SageMaker's words, where it failed."""

    name: str
    status: str
    started: bool
    instance_seconds: float
    reason: str | None

    @property
    def has_run(self) -> bool:
        """Whether its recordings had their try. One for which there was no instance says nothing about them."""
        return self.status in _ENDED and self.started

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def find_transform_jobs(sagemaker: Any, name: str) -> list[TransformJob]:
    """Those whose names begin with a shard's `job_name`. sagemaker: a client."""
    return [_described(sagemaker, found) for found in _names(sagemaker, name)]


def _names(sagemaker: Any, name: str) -> Iterator[str]:
    for page in sagemaker.get_paginator("list_transform_jobs").paginate(NameContains=name):
        for summary in page["TransformJobSummaries"]:
            if summary["TransformJobName"].startswith(f"{name}-"):
                yield summary["TransformJobName"]


def _described(sagemaker: Any, name: str) -> TransformJob:
    job = sagemaker.describe_transform_job(TransformJobName=name)
    start: datetime | None = job.get("TransformStartTime")
    end: datetime | None = job.get("TransformEndTime")
    seconds = (end - start).total_seconds() if start and end else 0.0
    reason = job.get("FailureReason")
    return TransformJob(
        name=name,
        status=job["TransformJobStatus"],
        started=start is not None,
        instance_seconds=seconds * job["TransformResources"]["InstanceCount"],
        reason=reason[:_REASON_CHARS] if reason else None,
    )
