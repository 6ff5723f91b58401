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


def install(surroundings: Surroundings) -> None:
    def invoke(target: dict[str, Any], passed: str) -> None:
        surroundings.client("lambda").invoke(FunctionName=target["Arn"], Payload=passed)

    def start(target: dict[str, Any], passed: str) -> None:
        surroundings.client("stepfunctions").start_execution(stateMachineArn=target["Arn"], input=passed)

    ours: dict[str, Callable[[dict[str, Any], str], None]] = {":lambda:": invoke, ":states:": start}

    def send(self: Rule, original_event: Any, transform_input: bool = True) -> None:
        if not self.event_pattern.get_pattern() or not self.event_pattern.matches_event(original_event):
            return
        others = []
        for target in self.targets:
            serve = next((serve for service, serve in ours.items() if service in target["Arn"]), None)
            if serve is None:
                others.append(target)
            else:
                # EventBridge does not wait either.
                threading.Thread(target=_deliver, args=(serve, target, original_event), daemon=True).start()
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
