"""Takes an environment's stacks down, as they are deployed: what keeps its data stays, and nothing else that costs money."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError, WaiterError

from operations.errors import OperationsError
from operations.showing import counted

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client

_BUCKET: Final = "AWS::S3::Bucket"
_MODEL: Final = "AWS::SageMaker::Model"
_STATE_MACHINE: Final = "AWS::StepFunctions::StateMachine"

# Network interfaces of functions are given back after up to 40 minutes. Source: Lambda developer guide, "Hyperplane ENIs".
_WAITING: Final = {"Delay": 5, "MaxAttempts": 720}

# Access logs are delivered hours late, so that a bucket may fill again between its emptying and its deletion.
_TRIES: Final = 3


@dataclass(frozen=True)
class DeployedStack:
    """template: as CloudFormation has it; empty after a first deployment that failed early. protected: from being deleted."""

    name: str
    id: str
    template: Mapping[str, Any]
    protected: bool

    @property
    def retained(self) -> list[str]:
        """Types of the resources that CloudFormation would leave behind."""
        resources = self.template.get("Resources", {}).values()
        return sorted({each["Type"] for each in resources if each.get("DeletionPolicy", "Delete") != "Delete"})

    @property
    def keeps_data(self) -> bool:
        return self.protected or bool(self.retained)

    def imports_from(self, other: "DeployedStack") -> bool:
        return f'"{other.name}:' in json.dumps(self.template)


def find_stacks(cloudformation: "CloudFormationClient", environment: str) -> list[DeployedStack]:
    """Raises OperationsError where nothing of the environment is deployed."""
    prefix = f"Whisperstack-{environment}-"
    pages = cloudformation.get_paginator("describe_stacks").paginate()
    described: Any = [each for page in pages for each in page["Stacks"] if each["StackName"].startswith(prefix)]
    found = [
        DeployedStack(
            each["StackName"],
            each["StackId"],
            _template(cloudformation, each["StackName"]),
            each.get("EnableTerminationProtection", False),
        )
        for each in described
        if each["StackStatus"] != "DELETE_COMPLETE"
    ]
    if not found:
        raise OperationsError(f"no stack {prefix}… is in this account and region; name another environment with --env")
    return found


def _template(cloudformation: "CloudFormationClient", name: str) -> Mapping[str, Any]:
    """Empty where there is none: a stack that is only in review was never given one.

    Raises OperationsError where there is none and the stack has resources: what it keeps could not be told.
    """
    try:
        body: Any = cloudformation.get_template(StackName=name).get("TemplateBody")
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        body = None
    template: Mapping[str, Any] = (json.loads(body) if isinstance(body, str) else body) or {}
    if "Resources" not in template and cloudformation.list_stack_resources(StackName=name)["StackResourceSummaries"]:
        raise OperationsError(f"CloudFormation gives no template of {name}, so what it keeps is not known; look in its console")
    return template


@dataclass(frozen=True)
class Teardown:
    """Of one environment. clients: by the name of their service."""

    environment: str
    stacks: list[DeployedStack]
    clients: Mapping[str, Any]

    @property
    def kept(self) -> list[DeployedStack]:
        """Stacks whose data outlives the environment, in full: an empty shell of them would help nobody."""
        return [stack for stack in self.stacks if stack.keeps_data]

    @cached_property
    def waves(self) -> list[list[DeployedStack]]:
        """The other stacks, those first that nothing else needs."""
        left, waves = [stack for stack in self.stacks if not stack.keeps_data], []
        while left:
            free = [each for each in left if not any(other.imports_from(each) for other in left if other is not each)]
            if not free:
                raise OperationsError(f"{', '.join(each.name for each in left)} need each other; delete them in the console")
            waves.append(free)
            left = [each for each in left if each not in free]
        return waves

    def buckets(self, stack: DeployedStack) -> list[str]:
        """Names; access logs last, as emptying the others is logged there."""
        found = self._resources(stack, _BUCKET)
        return [name for _, name in sorted(found.items(), key=lambda each: (each[0].startswith("AccessLogs"), each[0]))]

    def stop_batches(self) -> int:
        """Ends executions and transform jobs that run: they would go on, and cost, without their stack."""
        models: set[str] = set()
        machines: list[str] = []
        for stack in (each for wave in self.waves for each in wave):
            # CloudFormation knows models by their ARN, jobs know them by their name.
            models |= {arn.rpartition("/")[2] for arn in self._resources(stack, _MODEL).values()}
            machines += self._resources(stack, _STATE_MACHINE).values()
        return self._stop_executions(machines) + self._stop_jobs(models)

    def delete(self, wave: list[DeployedStack]) -> None:
        """Raises OperationsError with CloudFormation's reason. What was begun goes on without us."""
        cloudformation = self.clients["cloudformation"]
        for stack in wave:
            cloudformation.delete_stack(StackName=stack.name)
        for stack in wave:
            try:
                cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack.id, WaiterConfig=_WAITING)
            except WaiterError as error:
                raise OperationsError(
                    f"{stack.name} could not be deleted: {self._reason(stack)}; mend that, and run this again"
                ) from error

    def delete_with_contents(self, wave: list[DeployedStack]) -> Iterator[int]:
        """Yields how many object versions have just gone. Raises OperationsError."""
        for left in reversed(range(_TRIES)):
            for stack in wave:
                for bucket in self.buckets(stack):
                    yield from _empty(self.clients["s3"], bucket)
            try:
                self.delete(wave)
            except OperationsError:
                if not left or not any(self.buckets(stack) for stack in wave):
                    raise
            else:
                return

    def delete_container_logs(self) -> list[str]:
        """Groups that SageMaker made again for instances that were about to go; their names."""
        logs = self.clients["logs"]
        prefix = f"/aws/sagemaker/Endpoints/whisperstack-{self.environment}-"
        pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
        names = [group["logGroupName"] for page in pages for group in page["logGroups"]]
        for name in names:
            logs.delete_log_group(logGroupName=name)
        return names

    def _resources(self, stack: DeployedStack, kind: str) -> dict[str, str]:
        """Logical id → physical id, of what is still there."""
        pages = self.clients["cloudformation"].get_paginator("list_stack_resources").paginate(StackName=stack.id)
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"] == kind and resource.get("ResourceStatus") != "DELETE_COMPLETE"
        }

    def _stop_executions(self, machines: list[str]) -> int:
        states, stopped = self.clients["stepfunctions"], 0
        for machine in machines:
            pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="RUNNING")
            for execution in [each for page in pages for each in page["executions"]]:
                states.stop_execution(executionArn=execution["executionArn"], cause="The environment is taken down.")
                stopped += 1
        return stopped

    def _stop_jobs(self, models: set[str]) -> int:
        sagemaker, stopped = self.clients["sagemaker"], 0
        pages = sagemaker.get_paginator("list_transform_jobs").paginate(StatusEquals="InProgress")
        for name in [job["TransformJobName"] for page in pages for job in page["TransformJobSummaries"]]:
            if sagemaker.describe_transform_job(TransformJobName=name)["ModelName"] in models:
                sagemaker.stop_transform_job(TransformJobName=name)
                stopped += 1
        return stopped

    def _reason(self, stack: DeployedStack) -> str:
        """What CloudFormation says of the first resource that it could not delete."""
        try:
            pages = self.clients["cloudformation"].get_paginator("describe_stack_events").paginate(StackName=stack.id)
            failed = [e for page in pages for e in page["StackEvents"] if e.get("ResourceStatus") == "DELETE_FAILED"]
        except ClientError as error:
            return str(error)
        return (
            "; ".join(f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason', '')}" for e in failed[:3])
            or "it takes too long"
        )


def _empty(s3: "S3Client", bucket: str) -> Iterator[int]:
    """Removes every version and every delete marker; yields how many have just gone. A bucket that is gone is empty."""
    try:
        yield from _removals(s3, bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise


def _removals(s3: "S3Client", bucket: str) -> Iterator[int]:
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        listed = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if not listed:
            continue
        objects: Any = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in listed]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        if refused := answer.get("Errors"):
            first = refused[0]
            raise OperationsError(
                f"{counted(len(refused), 'object')} of {bucket} could not be removed, the first for {first.get('Code')} "
                f"({first.get('Message')}); mend that, and run this again"
            )
        yield len(objects)
