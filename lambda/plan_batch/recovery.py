"""What a killed execution left behind: transform jobs that still run.

One whose outputs are still waited for is adopted: it goes on to its end, and what it stored is then collected like any stored
output. One that nobody waits for is stopped, and its end awaited as well. So no recording is in two transform jobs at a time.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from batch_runs.run import Run
from batch_runs.run_rows import RunRows
from transcription_jobs.job_table import JobTable
from whisperstack_contract import keys
from whisperstack_contract.jobs import JobState

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Rows looked up at a time when it is asked whether any is still waiting for a transform job.
_SAMPLE: Final = 1000
_UNFINISHED: Final = ("InProgress", "Stopping")

# A run may wait for two weeks. Each look at whether its turn has come takes nine events of its history, which may hold 25,000;
# so it looks the less often the longer it has waited. Source: Step Functions developer guide, "Service quotas".
_WAITED_SHARE: Final = 100
_LONGEST_WAIT_SECONDS: Final = 1800


class Status(StrEnum):
    """busy: another execution works on the batch. waiting: for transform jobs of a former one."""

    READY = "ready"
    WAITING = "waiting"
    BUSY = "busy"


@dataclass(frozen=True)
class Recovery:
    jobs: JobTable
    runs: RunRows
    s3: "S3Client"
    sagemaker: Any
    executions: Any
    job_prefix: str

    def recover(self, run: Run, started_at: datetime, poll_seconds: int) -> dict[str, Any]:
        """Makes `run` the batch's one execution, and tells whether it can begin. It can be called until it can.

        started_at: of the execution. poll_seconds: the shortest wait until the next call, of which `wait_seconds` tells.
        """
        other = self.runs.claim(run, self.executions)
        unfinished = [] if other else list(self._unfinished(run))
        for name, status in unfinished:
            if status == "InProgress" and not self._is_waited_for(run, name):
                self.sagemaker.stop_transform_job(TransformJobName=name)
        status = Status.BUSY if other else Status.WAITING if unfinished else Status.READY
        waited = (self.jobs.clock() - started_at).total_seconds()
        wait = wait_seconds(waited, poll_seconds)
        return {"status": status, "transform_jobs": len(unfinished), "other": other, "wait_seconds": wait}

    def _unfinished(self, run: Run) -> Iterator[tuple[str, str]]:
        """(name, status) of each."""
        for status in _UNFINISHED:
            pages = self.sagemaker.get_paginator("list_transform_jobs").paginate(
                NameContains=run.transform_jobs_of_all(self.job_prefix),
                StatusEquals=status,
            )
            for page in pages:
                for summary in page["TransformJobSummaries"]:
                    yield summary["TransformJobName"], status

    def _is_waited_for(self, run: Run, transform_job: str) -> bool:
        """Whether any row says that its output will lie where this transform job puts it."""
        described = self.sagemaker.describe_transform_job(TransformJobName=transform_job)
        output = described["TransformOutput"]["S3OutputPath"]
        ids = self._inputs(described["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"])
        for start in range(0, len(ids), _SAMPLE):
            for job in self.jobs.load_all(ids[start : start + _SAMPLE]).values():
                expected = f"{output}{job.job_id}{keys.BATCH_OUTPUT_SUFFIX}"
                if job.state is JobState.SUBMITTED and job.batch == run.prefix and job.output_location == expected:
                    return True
        return False

    def _inputs(self, manifest_uri: str) -> Sequence[str]:
        bucket, _, key = manifest_uri.removeprefix("s3://").partition("/")
        try:
            manifest: Any = json.loads(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except self.s3.exceptions.NoSuchKey:
            # Expired, like everything below staged/: its recordings have long been given up.
            return ()
        return [str(name) for name in manifest[1:]]


def wait_seconds(waited_seconds: float, poll_seconds: int) -> int:
    """Until the next look: a hundredth of what a run has waited, within half an hour, or `poll_seconds` if that is longer."""
    return max(poll_seconds, min(int(waited_seconds / _WAITED_SHARE), _LONGEST_WAIT_SECONDS))
