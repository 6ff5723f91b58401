"""EventBridge: the targets of a matching rule that moto does not serve, functions and state machines.

moto takes a rule without a pattern, which has a schedule, for one that matches everything, and raises for a target that it does
not know before it comes to the next rule; S3 swallows what it raises.
"""

import json
import logging
import threading
from collections.abc import Callable
from copy import copy
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.events.models import Rule
from moto.events.utils import EventTemplateParser

from local.emulator.surroundings import Surroundings, replace

_log = logging.getLogger(__name__)


class Targets:
    """Functions, called as anyone; and state machines, started under the target's role."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._ours: dict[str, Callable[[dict[str, Any], str], None]] = {":lambda:": self._invoke, ":states:": self._start}

    def deliver(self, target: dict[str, Any], event: Any) -> bool:
        """Returns whether the target is one of these. Without waiting, as EventBridge."""
        serve = next((serve for service, serve in self._ours.items() if service in target["Arn"]), None)
        if serve:
            threading.Thread(target=_deliver, args=(serve, target, event), daemon=True).start()
        return serve is not None

    def _invoke(self, target: dict[str, Any], passed: str) -> None:
        self._surroundings.client("lambda").invoke(FunctionName=target["Arn"], Payload=passed)

    def _start(self, target: dict[str, Any], passed: str) -> None:
        states = self._surroundings.client("stepfunctions", target.get("RoleArn"))
        states.start_execution(stateMachineArn=target["Arn"], input=passed)


def install(targets: Targets) -> None:
    def send(self: Rule, original_event: Any, transform_input: bool = True) -> None:
        if not self.event_pattern.get_pattern() or not self.event_pattern.matches_event(original_event):
            return
        others = [target for target in self.targets if not targets.deliver(target, original_event)]
        if others:
            rest = copy(self)
            rest.targets = others
            send_in_moto(rest, original_event, transform_input)

    send_in_moto = replace(Rule, "send_to_targets", send)


def _deliver(serve: Callable[[dict[str, Any], str], None], target: dict[str, Any], event: Any) -> None:
    passed = event
    if transformer := target.get("InputTransformer"):
        passed = EventTemplateParser.parse(transformer["InputTemplate"], transformer.get("InputPathsMap", {}), event)
    try:
        serve(target, target.get("Input") or json.dumps(passed))
    except (BotoCoreError, ClientError):
        _log.exception("a rule's target %s", target["Arn"])
