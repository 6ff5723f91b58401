"""The batch workflow as Amazon States Language: recover, page, shard, transform, collect, leftovers, report.

Strings in it may be tokens of the CDK. No state's output holds more than a few hundred bytes, and none a recording's name.
"""

from dataclasses import dataclass
from typing import Any, Final

from infra.inference_options import BatchSettings

State = dict[str, Any]

# Every action of both functions can be repeated at will, so whatever went wrong is worth another try.
_RETRY_ACTION: Final = {
    "ErrorEquals": ["States.ALL"],
    "IntervalSeconds": 2,
    "BackoffRate": 3,
    "MaxDelaySeconds": 120,
    "MaxAttempts": 5,
    "JitterStrategy": "FULL",
}

# Instances of the account's quota that others hold become free when their jobs end: nine hours in all at most, and about five
# with the jitter. Step Functions names a modelled error after itself, and any other after the service; the older names are
# accepted too.
_RETRY_QUOTA: Final = {
    "ErrorEquals": [
        "SageMaker.ResourceLimitExceededException",
        "SageMaker.ResourceLimitExceeded",
        "SageMaker.ThrottlingException",
    ],
    "IntervalSeconds": 60,
    "BackoffRate": 1.5,
    "MaxDelaySeconds": 600,
    "MaxAttempts": 60,
    "JitterStrategy": "FULL",
}
# Throttling comes under this name, and so does what SageMaker will never accept.
_RETRY_CALL: Final = {
    "ErrorEquals": ["SageMaker.AmazonSageMakerException"],
    "IntervalSeconds": 10,
    "BackoffRate": 2,
    "MaxDelaySeconds": 300,
    "MaxAttempts": 6,
    "JitterStrategy": "FULL",
}

# Far beyond any run, so that one that hangs is told of.
_RUN_SECONDS: Final = 14 * 24 * 3600


@dataclass(frozen=True)
class TransformJob:
    """What all jobs of a run have in common. ami_version: None without a GPU. volume_key: None for disks that need none.

    tags: of every job, so that budgets count it.
    """

    model_name: str
    settings: BatchSettings
    ami_version: str | None
    volume_key: str | None
    output_key: str
    tags: dict[str, str]

    @property
    def parameters(self) -> State:
        """CreateTransformJob's request, of the map's item in `$.shard`."""
        resources: State = {
            "InstanceType": self.settings.instance_type,
            "InstanceCount": self.settings.instances_per_job,
            **({"TransformAmiVersion": self.ami_version} if self.ami_version else {}),
            **({"VolumeKmsKeyId": self.volume_key} if self.volume_key else {}),
        }
        return {
            # A name of its own for each attempt, which all begin alike, so that a killed execution's jobs are found.
            "TransformJobName.$": "States.Format('{}-{}-{}', $.shard.job_name, $$.Execution.RedriveCount, $$.State.RetryCount)",
            "ModelName": self.model_name,
            "MaxPayloadInMB.$": "$.shard.payload_mb",
            "MaxConcurrentTransforms.$": "$.shard.concurrency",
            "BatchStrategy": "SingleRecord",
            "Environment.$": "$.shard.environment",
            "ModelClientConfig": {
                "InvocationsTimeoutInSeconds": self.settings.invocation_timeout_seconds,
                "InvocationsMaxRetries": self.settings.retries,
            },
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri.$": "$.shard.manifest"}},
                "ContentType": "application/octet-stream",
                "CompressionType": "None",
                "SplitType": "None",
            },
            "TransformOutput": {
                "S3OutputPath.$": "$.shard.output",
                "Accept": "application/json",
                "AssembleWith": "None",
                "KmsKeyId": self.output_key,
            },
            "TransformResources": resources,
            "Tags": [{"Key": name, "Value": value} for name, value in self.tags.items()],
        }


@dataclass(frozen=True)
class Functions:
    """ARNs, and how long each may take."""

    plan: str
    plan_seconds: int
    collect: str
    collect_seconds: int


def batch_definition(functions: Functions, job: TransformJob) -> State:
    """The definition of the state machine."""
    settings = job.settings

    def plan(action: str, **payload: Any) -> State:
        return _call(functions.plan, functions.plan_seconds, {"action": action, "execution.$": "$$.Execution.Id", **payload})

    def collect(action: str, **payload: str) -> State:
        return _call(functions.collect, functions.collect_seconds, {"action": action, **payload})

    of_run = {"execution.$": "$$.Execution.Id", "prefix.$": "$.run.answer.prefix"}
    prefix = {"prefix.$": "$.run.answer.prefix"}
    states: dict[str, State] = {
        "HowStarted": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.detail.object.key", "IsPresent": True, "Next": "StartOnce"}],
            "Default": "Recover",
        },
        **_start_once(),
        "Recover": {
            **plan(
                "recover",
                poll_seconds=settings.poll_seconds,
                **{"input.$": "$$.Execution.Input", "started_at.$": "$$.Execution.StartTime"},
            ),
            "ResultPath": "$.run",
            "Next": "MayBegin",
        },
        "MayBegin": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.run.answer.status", "StringEquals": "ready", "Next": "BeginPages"}],
            # Another execution has the run, or transform jobs of one that was killed are still coming to their end.
            "Default": "WaitForTurn",
        },
        # Longer and longer: every turn adds to the execution's history, which may not outgrow what Step Functions keeps.
        "WaitForTurn": {"Type": "Wait", "SecondsPath": "$.run.answer.wait_seconds", "Next": "Recover"},
        "BeginPages": _begin("pages", {"cursor": None, "found": {}}, "Page"),
        "Page": {
            **plan("page", **prefix, **{"cursor.$": "$.pages.answer.cursor", "found.$": "$.pages.answer.found"}),
            "ResultPath": "$.pages",
            "Next": "MorePages",
        },
        "MorePages": _while_cursor("pages", "Page", "BeginRounds"),
        "BeginRounds": _begin("shards", {"next_round": 1}, "Shard"),
        "Shard": {
            **plan("shard", **prefix, **{"round.$": "$.shards.answer.next_round"}),
            "ResultPath": "$.shards",
            "Next": "AnyShards",
        },
        "AnyShards": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.shards.answer.shards", "NumericGreaterThan": 0, "Next": "Shards"}],
            "Default": "BeginLeftovers",
        },
        "Shards": _shards(settings, job, collect),
        "BeginLeftovers": _begin("leftovers", {"cursor": None}, "Leftovers"),
        "Leftovers": {
            **collect("leftovers", **of_run, **{"cursor.$": "$.leftovers.answer.cursor"}),
            "ResultPath": "$.leftovers",
            "Next": "MoreLeftovers",
        },
        "MoreLeftovers": _while_cursor("leftovers", "Leftovers", "Report"),
        "Report": {
            **collect("report", **of_run, **{"started_at.$": "$$.Execution.StartTime"}),
            "OutputPath": "$.answer",
            "Next": "AllDone",
        },
        "AllDone": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.unfinished", "NumericGreaterThan": 0, "Next": "Unfinished"}],
            "Default": "Done",
        },
        "Unfinished": {
            "Type": "Fail",
            "Error": "Batch.Unfinished",
            "Cause": "Some recordings have neither a transcript nor an error document; the report has them. Start it again.",
        },
        "Done": {"Type": "Succeed"},
    }
    return {
        "Comment": "Transcribes every recording below a prefix that has no transcript yet.",
        "StartAt": "HowStarted",
        "TimeoutSeconds": _RUN_SECONDS,
        "States": states,
    }


def _start_once() -> dict[str, State]:
    """S3 may tell of a marker twice. EventBridge cannot name an execution, so the one that it starts starts another by name."""
    identity = "States.Format('{}/{}', $.detail.object.key, $.detail.object['version-id'])"
    return {
        "StartOnce": {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution",
            "Parameters": {
                "StateMachineArn.$": "$$.StateMachine.Id",
                "Name.$": f"States.Format('marker-{{}}', States.Hash({identity}, 'SHA-256'))",
                "Input": {"start_key.$": "$.detail.object.key"},
            },
            "Retry": [{**_RETRY_ACTION, "ErrorEquals": ["StepFunctions.AWSStepFunctionsException", "States.Timeout"]}],
            "Catch": [{"ErrorEquals": ["StepFunctions.ExecutionAlreadyExistsException"], "Next": "StartedBefore"}],
            "Next": "Started",
        },
        "Started": {"Type": "Succeed"},
        "StartedBefore": {"Type": "Succeed", "Comment": "A repeated event."},
    }


def _shards(settings: BatchSettings, job: TransformJob, collect: Any) -> State:
    """One child execution for each shard. A shard that fails is told by the report, and does not end the run."""
    item = {"execution.$": "$.execution", "prefix.$": "$.prefix", "shard.$": "$.shard"}
    children: dict[str, State] = {
        "HasOutputs": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.shard.transform", "BooleanEquals": True, "Next": "Transform"}],
            "Default": "BeginCollect",
        },
        "Transform": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sagemaker:createTransformJob.sync",
            "TimeoutSeconds": settings.job_hours * 3600,
            "Parameters": job.parameters,
            # Never because a job has failed: that would transcribe again what it has stored. The next round has the rest.
            "Retry": [_RETRY_QUOTA, _RETRY_CALL],
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "BeginCollect"}],
            "ResultPath": None,
            "Next": "BeginCollect",
        },
        "BeginCollect": _begin("collected", {"cursor": None}, "Collect"),
        "Collect": {
            **collect("collect", **item, **{"cursor.$": "$.collected.answer.cursor"}),
            "ResultPath": "$.collected",
            "Next": "MoreToCollect",
        },
        "MoreToCollect": _while_cursor("collected", "Collect", "Collected"),
        # All results together must stay below what a state may hand on.
        "Collected": {"Type": "Pass", "Result": {}, "End": True},
    }
    return {
        "Type": "Map",
        "Label": "Shards",
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON"},
            "Parameters": {"Bucket.$": "$.shards.answer.shards_bucket", "Key.$": "$.shards.answer.shards_key"},
        },
        "ItemSelector": {
            "execution.$": "$$.Execution.Id",
            "prefix.$": "$.run.answer.prefix",
            "shard.$": "$$.Map.Item.Value",
        },
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "HasOutputs",
            "States": children,
        },
        "MaxConcurrency": settings.jobs_at_a_time,
        "ToleratedFailurePercentage": 100,
        "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "BeginLeftovers"}],
        "ResultPath": None,
        "Next": "Shard",
    }


def _call(function: str, seconds: int, payload: State) -> State:
    """An action of a function; its answer lies below `answer`."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload": payload},
        "ResultSelector": {"answer.$": "$.Payload"},
        "TimeoutSeconds": seconds + 60,
        "Retry": [_RETRY_ACTION],
    }


def _begin(name: str, answer: State, then: str) -> State:
    return {"Type": "Pass", "Result": {"answer": answer}, "ResultPath": f"$.{name}", "Next": then}


def _while_cursor(name: str, again: str, then: str) -> State:
    """Once more for as long as the answer has a cursor."""
    return {
        "Type": "Choice",
        "Choices": [{"Variable": f"$.{name}.answer.cursor", "IsNull": False, "Next": again}],
        "Default": then,
    }
