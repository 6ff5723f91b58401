"""The state machine of a batch as its functions see it, and transform jobs that answer as a test says."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sagemaker.models import sagemaker_backends

from collect_batch import handler as collect_batch
from plan_batch import handler as plan_batch
from tests.unit.pipeline import CONTEXT, REGION, TRANSCRIPTS_BUCKET, Pipeline, transcript
from tests.unit.wire import Wire

GOOD = transcript().to_json().encode()
PREFIX = "batch/monday/"


def answer_by_content(body: bytes) -> bytes | None:
    """What the model answers: what the recording itself says, else a transcript. None where it gives no output."""
    if body == b"no output":
        return None
    return body if body.startswith(b'{"error"') else GOOD


def error(code: str, *, retryable: bool = False) -> bytes:
    """A recording to which the model answers with that error."""
    return json.dumps({"error": {"code": code, "message": f"<b>{code}</b> & more", "retryable": retryable}}).encode()


@dataclass
class Batch:
    """calls: how often the model has heard each job's recording. model: its answer to one. jobs: transform jobs so far."""

    pipeline: Pipeline
    wire: Wire
    model: Callable[[bytes], bytes | None] = answer_by_content
    calls: Counter[str] = field(default_factory=Counter)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    context: Any = field(default_factory=lambda: CONTEXT)

    def __post_init__(self) -> None:
        self.executions, self.sagemaker = boto3.client("stepfunctions"), boto3.client("sagemaker")
        role = "arn:aws:iam::123456789012:role/machine"
        machine = self.executions.create_state_machine(name="batch", definition="{}", roleArn=role)
        self.machine = machine["stateMachineArn"]

    def start(self) -> str:
        """A new execution's ARN."""
        return self.executions.start_execution(stateMachineArn=self.machine)["executionArn"]

    def kill(self, execution: str) -> None:
        self.executions.stop_execution(executionArn=execution)

    def run(self, execution: str | None = None, prefix: str = PREFIX) -> dict[str, Any]:
        """A whole execution; its report's summary, or what recover said if it cannot begin."""
        execution = execution or self.start()
        ready = self.recover(execution, prefix)
        if ready["status"] != "ready":
            return ready
        self.page(execution, prefix)
        number = 1
        while (shared := self.share(execution, number, prefix))["shards"]:
            for item in self.items(shared):
                self.transform(item)
                self.collect(execution, item, prefix)
            number = shared["next_round"]
        self.leftovers(execution, prefix)
        return self.report(execution, prefix)

    def recover(self, execution: str, prefix: str = PREFIX) -> dict[str, Any]:
        started_at = datetime.now(UTC).isoformat()
        return self.plan("recover", execution, input={"prefix": prefix}, started_at=started_at, poll_seconds=60)

    def page(self, execution: str, prefix: str = PREFIX) -> dict[str, int]:
        answer: dict[str, Any] = {"cursor": None, "found": {}}
        while True:
            answer = self.plan("page", execution, prefix=prefix, **answer)
            if answer["cursor"] is None:
                return answer["found"]

    def share(self, execution: str, round_number: int = 1, prefix: str = PREFIX) -> dict[str, Any]:
        return self.plan("shard", execution, prefix=prefix, round=round_number)

    def items(self, shared: dict[str, Any]) -> list[dict[str, Any]]:
        return self._json(f"s3://{shared['shards_bucket']}/{shared['shards_key']}") if shared["shards"] else []

    def collect(self, execution: str, item: dict[str, Any], prefix: str = PREFIX) -> dict[str, int]:
        total: Counter[str] = Counter()
        cursor = None
        while True:
            answer = self.gather("collect", execution, prefix=prefix, shard=item, cursor=cursor)
            total.update(answer["collected"])
            cursor = answer["cursor"]
            if cursor is None:
                return {outcome: count for outcome, count in total.items() if count}

    def leftovers(self, execution: str, prefix: str = PREFIX) -> None:
        cursor = None
        while True:
            cursor = self.gather("leftovers", execution, prefix=prefix, cursor=cursor)["cursor"]
            if cursor is None:
                return

    def report(self, execution: str, prefix: str = PREFIX) -> dict[str, Any]:
        return self.gather("report", execution, prefix=prefix, started_at="2026-11-24T01:00:00.000Z")

    def plan(self, action: str, execution: str, **event: Any) -> dict[str, Any]:
        return self._call(plan_batch.lambda_handler, {"action": action, "execution": execution, **event})

    def gather(self, action: str, execution: str, **event: Any) -> dict[str, Any]:
        return self._call(collect_batch.lambda_handler, {"action": action, "execution": execution, **event})

    def transform(self, item: dict[str, Any], status: str | None = None) -> None:
        """What SageMaker does for one item of the map. status: of the job, where it does not follow from its outputs."""
        if not item["transform"]:
            return
        name = f"{item['job_name']}-0-0"
        self.create(item, name)
        missing = 0
        for job_id in self.inputs(item):
            answer = self.model(self.pipeline.body(f"staged/{job_id}", "audio").encode())
            self.calls[job_id] += 1
            if answer is None:
                missing += 1
                continue
            key = item["output"].removeprefix(f"s3://{TRANSCRIPTS_BUCKET}/") + f"{job_id}.out"
            self.pipeline.s3.put_object(Bucket=TRANSCRIPTS_BUCKET, Key=key, Body=answer)
        self.job(name).transform_job_status = status or ("Failed" if missing else "Completed")

    def create(self, item: dict[str, Any], name: str) -> None:
        """As the state machine asks for it, and botocore checks."""
        self.jobs.append(item)
        self.sagemaker.create_transform_job(
            TransformJobName=name,
            ModelName="model",
            MaxConcurrentTransforms=item["concurrency"],
            MaxPayloadInMB=item["payload_mb"],
            Environment=item["environment"],
            TransformInput={"DataSource": {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": item["manifest"]}}},
            TransformOutput={"S3OutputPath": item["output"]},
            TransformResources={"InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
        )

    def job(self, name: str) -> Any:
        """moto's own, so that a test can set what SageMaker would."""
        return sagemaker_backends[DEFAULT_ACCOUNT_ID][REGION].transform_jobs[name]

    def inputs(self, item: dict[str, Any]) -> list[str]:
        prefix, *names = self._json(item["manifest"])
        assert prefix == {"prefix": "s3://audio/staged/"}
        return names

    def _json(self, uri: str) -> Any:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return json.loads(self.pipeline.body(key, bucket))

    def _call(self, handler: Callable[..., Any], event: dict[str, Any]) -> dict[str, Any]:
        # As Step Functions passes events and answers on, and no larger than it takes them.
        with self.wire.listening():
            answer = json.dumps(handler(json.loads(json.dumps(event)), self.context))
        assert len(answer) < 10_000
        return json.loads(answer)
