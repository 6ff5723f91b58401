"""EventBridge rules with a rate: invokes their functions and starts their state machines, as moto does not."""

import logging
import re
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from local.emulator.event_rules import Targets
from local.emulator.surroundings import ACCOUNT, REGION, Surroundings

_log = logging.getLogger(__name__)

_DISCOVERY_SECONDS: Final = 1.0
_RATE: Final = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_SECONDS: Final = {"minute": 60, "hour": 3600, "day": 86_400}


class Schedules:
    """One thread that looks which rules are due. A rule runs first when its time has passed once, as in EventBridge."""

    def __init__(self, surroundings: Surroundings, targets: Targets, clock: Callable[[], float] = time.monotonic) -> None:
        self._surroundings, self._targets, self._clock = surroundings, targets, clock
        self._due: dict[str, float] = {}

    def start(self) -> None:
        threading.Thread(target=self._run, name="schedules", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except (BotoCoreError, ClientError):
                _log.exception("looking for schedules")
            time.sleep(_DISCOVERY_SECONDS)

    def look(self) -> None:
        """Delivers to the targets of every rule that is due."""
        events = self._surroundings.client("events")
        for rule in events.list_rules()["Rules"]:
            if self._is_due(rule):
                for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
                    self._targets.deliver(target, _event(rule))

    def _is_due(self, rule: dict[str, Any]) -> bool:
        match = _RATE.fullmatch(rule.get("ScheduleExpression", ""))
        if match is None or rule["State"] != "ENABLED":
            return False
        every, now = int(match[1]) * _SECONDS[match[2]], self._clock()
        due = self._due.setdefault(rule["Arn"], now + every)
        if now < due:
            return False
        self._due[rule["Arn"]] = due + every
        return True


def _event(rule: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "region": REGION,
        "time": datetime.now(UTC).isoformat(),
        "resources": [rule["Arn"]],
        "detail": {},
    }
