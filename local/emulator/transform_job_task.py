"""Step Functions' optimised integration of SageMaker's transform jobs, which moto lacks: `createTransformJob.sync`."""

import json
import logging
from collections.abc import Callable
from typing import Any, Final, cast

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.exec.state_task.credentials import StateCredentials
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment

from local.emulator.surroundings import Surroundings

_log = logging.getLogger(__name__)

_TASK_FAILED: Final = StatesErrorName(typ=StatesErrorNameType.StatesTaskFailed)
_ENDED: Final = ("Completed", "Failed", "Stopped")


class TransformJobTask(StateTaskServiceCallback):
    """Calls run under the state machine's role, as in AWS."""

    def __init__(self, surroundings: Surroundings) -> None:
        # The base class asks for a task token with every pattern, wanted or not.
        patterns: Any = {ResourceCondition.WaitForTaskToken, ResourceCondition.Sync}
        super().__init__(supported_integration_patterns=patterns)
        self._surroundings = surroundings

    def _validate_service_integration_is_supported(self) -> None:
        """moto has a list of what it supports."""

    def _eval_service_task(  # type: ignore[override]
        self,
        env: Environment,
        normalised_parameters: dict[str, Any],
        state_credentials: StateCredentials,
        **_unused: Any,
    ) -> None:
        client = self._surroundings.client("sagemaker", state_credentials.role_arn)
        response = getattr(client, self._get_boto_service_action())(**normalised_parameters)
        response.pop("ResponseMetadata", None)
        env.stack.append(response)

    def _build_sync_resolver(  # type: ignore[override]
        self,
        env: Environment,
        normalised_parameters: dict[str, Any],
        state_credentials: StateCredentials,
        **_unused: Any,
    ) -> Callable[[], Any]:
        env.stack.pop()  # CreateTransformJob's own answer
        name = normalised_parameters["TransformJobName"]
        client = self._surroundings.client("sagemaker", state_credentials.role_arn)

        def resolve() -> Any:
            job = client.describe_transform_job(TransformJobName=name)
            if job["TransformJobStatus"] not in _ENDED:
                return None
            job.pop("ResponseMetadata", None)
            described = json.loads(json.dumps(job, default=str))
            if job["TransformJobStatus"] != "Completed":
                raise FailureEventException(self._failed(env, _TASK_FAILED, json.dumps(described)))
            return described

        def stop() -> None:
            client.stop_transform_job(TransformJobName=name)

        self._stop = stop
        return resolve

    def _eval_sync(self, env: Environment, *args: Any, **kwargs: Any) -> Any:
        outcome = super()._eval_sync(env, *args, **kwargs)
        if outcome is None and not env.is_running():
            # An execution that is stopped, or a task that runs out of time, stops its job as well as it can.
            try:
                self._stop()
            except ClientError:
                _log.exception("stopping a transform job with its execution")
        return outcome

    def _from_error(self, env: Environment, ex: Exception) -> FailureEvent:
        if isinstance(ex, FailureEventException):
            return ex.failure_event
        if isinstance(ex, ClientError):
            return self._failed(env, _call_error(ex.response["Error"]["Code"]), str(ex))
        return super()._from_error(env=env, ex=ex)

    def _failed(self, env: Environment, error: ErrorName, cause: str) -> FailureEvent:
        details: Any = TaskFailedEventDetails(
            error=error.error_name,
            cause=cause,
            resource=self._get_sfn_resource(),
            resourceType=self._get_sfn_resource_type(),
        )
        return FailureEvent(
            env=env,
            error_name=error,
            event_type=HistoryEventType.TaskFailed,
            event_details=cast("Any", {"taskFailedEventDetails": details}),
        )


# Errors of CreateTransformJob's API model. Source: sagemaker API model (botocore 1.44.5).
_MODELLED: Final = ("ResourceInUse", "ResourceLimitExceeded", "ResourceNotFound")


def _call_error(code: str) -> CustomErrorName:
    """As Step Functions names what SageMaker refuses: modelled errors by their own name, all others by the service's."""
    return CustomErrorName(f"SageMaker.{code}Exception" if code in _MODELLED else "SageMaker.AmazonSageMakerException")
