"""Executes a change set as CloudFormation does: outputs and exports included, failures told by the stack's events.

moto creates the resources of a change set and forgets the template's outputs and exports; so a stack that the CDK deploys would
have neither. And whoever describes a deleted stack makes moto work out its outputs, for which it makes the resources anew.
"""

import logging

from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import ChangeSet, CloudFormationBackend, Stack
from moto.cloudformation.parsing import OutputMap

from local.emulator.surroundings import replace

_log = logging.getLogger(__name__)


def install() -> None:
    def execute(self: CloudFormationBackend, change_set_name: str, stack_name: str | None = None) -> None:
        change_set = _find(self, change_set_name, stack_name)
        stack = self.stacks[change_set.stack_id]
        kind = change_set.change_set_type
        try:
            if kind == "CREATE":
                stack = _create(self, change_set, stack)
            else:
                stack.update(change_set.template, change_set.role_arn, change_set.parameters, change_set.tags)
                self.exports.update({export.name: export for export in stack.exports})
        except Exception as error:  # noqa: BLE001  # whatever moto raises
            # The call itself succeeds in AWS, whatever comes of the resources; the CDK reads the reason from the events.
            _log.exception("change set of %s", change_set.stack_name)
            stack = self.stacks[change_set.stack_id]
            stack.status = "ROLLBACK_COMPLETE" if kind == "CREATE" else "UPDATE_ROLLBACK_COMPLETE"
            stack._add_stack_event(stack.status, resource_status_reason=f"{type(error).__name__}: {error}")
        change_set.execution_status = "EXECUTE_COMPLETE"

    replace(CloudFormationBackend, "execute_change_set", execute)

    def delete(self: Stack) -> None:
        original_delete(self)
        self.output_map = OutputMap(self.resource_map, {}, self.stack_id)

    original_delete = replace(Stack, "delete", delete)


def _find(cloudformation: CloudFormationBackend, name: str, stack_name: str | None) -> ChangeSet:
    """By its ARN, or by its name and its stack's; the latest of that name."""
    for arn, change_set in reversed(cloudformation.change_sets.items()):
        if arn == name or (change_set.change_set_name == name and stack_name in (change_set.stack_name, change_set.stack_id)):
            return change_set
    raise ValidationError(name)


def _create(cloudformation: CloudFormationBackend, change_set: ChangeSet, reviewed: Stack) -> Stack:
    """The stack under review, made anew from the change set's template: under the same id, with the events so far."""
    stack = Stack(  # type: ignore[abstract]  # moto makes them all the same
        stack_id=reviewed.stack_id,
        name=reviewed.name,
        template=change_set.template,
        parameters=change_set.parameters,
        account_id=cloudformation.account_id,
        region_name=cloudformation.region_name,
        notification_arns=change_set.notification_arns,
        tags=change_set.tags,
        role_arn=change_set.role_arn,
        cross_stack_resources=cloudformation.exports,
    )
    stack.events = reviewed.events
    cloudformation.stacks[stack.stack_id] = stack
    stack._add_stack_event("CREATE_IN_PROGRESS", resource_status_reason="User Initiated")
    stack.create_resources()
    cloudformation.exports.update({export.name: export for export in stack.exports})
    return stack
