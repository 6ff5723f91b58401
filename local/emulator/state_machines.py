"""Step Functions: moto's interpreter runs the deployed definition.

Here it learns what it lacks: `createTransformJob.sync`, calls under the state machine's role, what the context object says of
an execution, child executions of a distributed map, and an end at once for an execution that is stopped.
"""

import json
import re
import uuid
from datetime import datetime
from types import ModuleType
from typing import Any, Final

from moto.core.config import default_user_config
from moto.stepfunctions import models as stepfunctions_models
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.component.state.exec.state_map.item_reader.eval import resource_eval_s3
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.itemprocessor import (
    distributed_item_processor_worker,
    inline_item_processor_worker,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils, state_task_factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.credentials import StateCredentials
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_sfn
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import StepFunctionsParserBackend, stepfunctions_parser_backends

from local.emulator.surroundings import Surroundings, UnexpectedMotoError, replace
from local.emulator.transform_job_task import TransformJobTask

_WHOLE_PERCENTAGE: Final = re.compile(r'"ToleratedFailurePercentage"\s*:\s*\d+(?![\d.])')

# Where moto calls AWS for a state.
_CALLERS: Final[tuple[ModuleType, ...]] = (resource_eval_s3, lambda_eval_utils, state_task_service_sfn)


def install(surroundings: Surroundings) -> None:
    # Without it moto only notes that an execution was asked for.
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    stepfunctions_models.stepfunctions_backends = stepfunctions_parser_backends  # type: ignore[assignment]
    _install_reading()
    _install_tasks(surroundings)
    _install_context()
    _install_start_and_stop()


def _install_reading() -> None:
    """moto's grammar wants a fraction where the language takes any number."""

    def parse(definition: str) -> Any:
        return parse_in_moto(_WHOLE_PERCENTAGE.sub(r"\g<0>.0", definition))

    parse_in_moto = replace(AmazonStateLanguageParser, "parse", staticmethod(parse))


def _install_tasks(surroundings: Surroundings) -> None:
    def task_for(service_name: str) -> Any:
        return TransformJobTask(surroundings) if service_name == "sagemaker" else task_in_moto(service_name)

    factory: Any = state_task_factory
    task_in_moto = factory.state_task_service_for
    factory.state_task_service_for = task_for

    def client(service: str, state_credentials: StateCredentials, **_region: Any) -> Any:
        return surroundings.client(service, state_credentials.role_arn)

    # moto hands on the names of the definition, which the API does not know.
    replace(state_task_service_sfn.StateTaskServiceSfn, "_normalise_parameters", _as_the_api_names_them)

    def call(self: Any, env: Environment, **kwargs: Any) -> None:
        call_in_moto(self, env, **kwargs)
        # A date is text to whoever gets it.
        env.stack.append(json.loads(json.dumps(env.stack.pop(), default=str)))

    call_in_moto = replace(state_task_service_sfn.StateTaskServiceSfn, "_eval_service_task", call)
    for module in _CALLERS:
        if not hasattr(module, "boto_client_for"):
            raise UnexpectedMotoError(f"{module.__name__} has no 'boto_client_for'; install the pinned version of moto")
        module.boto_client_for = client  # type: ignore[attr-defined]


def _as_the_api_names_them(_self: Any, parameters: dict[str, Any], *_args: Any) -> None:
    for name in list(parameters):
        value = parameters.pop(name)
        parameters[name[0].lower() + name[1:]] = value if isinstance(value, str) else json.dumps(value)


def _install_context() -> None:
    def environment(self: ExecutionWorker) -> Environment:
        made: Environment = environment_in_moto(self)
        execution: Any = made.states.context_object.context_object_data["Execution"]
        started: datetime = execution["StartTime"]
        execution.update(StartTime=started.isoformat(timespec="milliseconds").replace("+00:00", "Z"), RedriveCount=0)
        return made

    environment_in_moto = replace(ExecutionWorker, "_get_evaluation_environment", environment)

    def become_child(self: Any, env_frame: Environment) -> None:
        select_in_moto(self, env_frame)
        # From here on the context is that of the child execution, which knows neither its parent nor the map.
        context: Any = env_frame.states.context_object.context_object_data
        parent, name = context["Execution"], str(uuid.uuid4())
        context["Execution"] = {
            **parent,
            "Id": f"{parent['Id'].rpartition(':')[0]}/map:{name}",
            "Name": name,
            "Input": env_frame.states.get_input(),
        }
        del context["Map"]

    inline: Any = inline_item_processor_worker.InlineItemProcessorWorker
    if "_eval_input" not in vars(inline):
        raise UnexpectedMotoError(f"moto's {inline.__name__} has no '_eval_input'; install the pinned version of moto")
    select_in_moto = inline._eval_input
    distributed_item_processor_worker.DistributedItemProcessorWorker._eval_input = become_child  # type: ignore[method-assign]


def _install_start_and_stop() -> None:
    def start(self: StepFunctionsParserBackend, state_machine_arn: str, name: str | None, *args: Any, **kwargs: Any) -> Any:
        # moto would call every nameless execution "None", and refuse the second.
        return start_in_moto(self, state_machine_arn, name or str(uuid.uuid4()), *args, **kwargs)

    start_in_moto = replace(StepFunctionsParserBackend, "start_execution", start)

    def stop(self: Execution, stop_date: datetime, error: str | None, cause: str | None) -> None:
        # moto says so only once the call that is under way has returned; Step Functions does not wait for it.
        if self.exec_status == ExecutionStatus.RUNNING:
            self.exec_status, self.stop_date = ExecutionStatus.ABORTED, stop_date
        stop_in_moto(self, stop_date, error, cause)

    stop_in_moto = replace(Execution, "stop", stop)
