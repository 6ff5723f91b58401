"""Step Functions: moto's interpreter runs the deployed definition.

Here it learns what it lacks: `createTransformJob.sync`.
"""

import json
import uuid
from collections.abc import Callable
from typing import Any, Final, cast

from botocore.exceptions import ClientError
from moto.core.config import default_user_config
from moto.stepfunctions import models as stepfunctions_models
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.models import StepFunctionsParserBackend, stepfunctions_parser_backends

from local.emulator.surroundings import Surroundings, replace

# As Step Functions names them, for a call that SageMaker refuses and for a job that ends badly.
_CALL_FAILED: Final = CustomErrorName("SageMaker.AmazonSageMakerException")
_TASK_FAILED: Final = StatesErrorName(typ=StatesErrorNameType.StatesTaskFailed)
_ENDED: Final = ("Completed", "Failed", "Stopped")


def install(surroundings: Surroundings) -> None:
    # Without it moto only notes that an execution was asked for.
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    stepfunctions_models.stepfunctions_backends = stepfunctions_parser_backends  # type: ignore[assignment]

    class SageMakerTask(StateTaskServiceCallback):
        """The optimised integration of SageMaker's transform jobs."""

        def __init__(self) -> None:
            # The base class asks for a task token with every pattern, wanted or not.
            patterns: Any = {ResourceCondition.WaitForTaskToken, ResourceCondition.Sync}
            super().__init__(supported_integration_patterns=patterns)

        def _validate_service_integration_is_supported(self) -> None:
            """moto has a list of what it supports."""

        def _eval_service_task(  # type: ignore[override]
            self, env: Environment, normalised_parameters: dict[str, Any], **_unused: Any
        ) -> None:
            call = getattr(surroundings.client("sagemaker"), self._get_boto_service_action())
            response = call(**normalised_parameters)
            response.pop("ResponseMetadata", None)
            env.stack.append(response)

        def _build_sync_resolver(  # type: ignore[override]
            self, env: Environment, normalised_parameters: dict[str, Any], **_unused: Any
        ) -> Callable[[], Any]:
            env.stack.pop()  # CreateTransformJob's own answer
            name = normalised_parameters["TransformJobName"]

            def resolve() -> Any:
                job = surroundings.client("sagemaker").describe_transform_job(TransformJobName=name)
                if job["TransformJobStatus"] not in _ENDED:
                    return None
                described = json.loads(json.dumps(job, default=str))
                if job["TransformJobStatus"] != "Completed":
                    raise FailureEventException(self._failed(env, _TASK_FAILED, json.dumps(described)))
                return described

            return resolve

        def _from_error(self, env: Environment, ex: Exception) -> FailureEvent:
            if isinstance(ex, FailureEventException):
                return ex.failure_event
            if isinstance(ex, ClientError):
                return self._failed(env, _CALL_FAILED, str(ex))
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

    def task_for(service_name: str) -> Any:
        return SageMakerTask() if service_name == "sagemaker" else task_in_moto(service_name)

    factory: Any = state_task_factory
    task_in_moto = factory.state_task_service_for
    factory.state_task_service_for = task_for

    def start(self: StepFunctionsParserBackend, state_machine_arn: str, name: str | None, *args: Any, **kwargs: Any) -> Any:
        # moto would call every nameless execution "None", and refuse the second.
        return start_in_moto(self, state_machine_arn, name or str(uuid.uuid4()), *args, **kwargs)

    start_in_moto = replace(StepFunctionsParserBackend, "start_execution", start)
