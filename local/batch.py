"""What an application does with a batch: upload a folder, start one run, hear how each recording ended. Plain boto3."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from boto3.exceptions import Boto3Error
from botocore.exceptions import ClientError

from local.deployment import Deployment
from local.embedded_aws import EmbeddedAws
from local.recordings import Recording
from local.transcription import Listener, PipelineStuckError, Result, raise_if_stuck, upload
from whisperstack_contract.keys import BATCH_PREFIX, INCOMING_PREFIX

_PREFIX: Final = f"{BATCH_PREFIX}demo/"
# How often to look where the run is.
_LOOK_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.2


@dataclass
class BatchRun:
    """One execution over a folder. told: hears in which state it is, as it moves on. report: of the run, once it has ended."""

    aws: EmbeddedAws
    deployment: Deployment
    listener: Listener
    told: Callable[[str], None]
    report: dict[str, Any] = field(default_factory=dict)

    def transcribe(self, recordings: Sequence[Recording]) -> Iterator[Result]:
        """Upload all, start the run, and yield each result as it is announced. Raises PipelineStuckError."""
        waiting: dict[tuple[str, str], Recording] = {}
        for recording in recordings:
            renamed = Recording(recording.path, _PREFIX + recording.key.removeprefix(INCOMING_PREFIX))
            try:
                waiting[renamed.key, upload(self.aws, self.deployment, renamed)] = renamed
            except (Boto3Error, ClientError, OSError) as error:
                # Those beside it go on.
                yield Result(renamed, None, reason=str(error))
        states = self.aws.client("stepfunctions")
        began = time.monotonic()
        execution = states.start_execution(
            stateMachineArn=self.deployment.batch_state_machine, input=json.dumps({"prefix": _PREFIX})
        )["executionArn"]
        looked = 0.0
        while waiting:
            for announcement in self.listener.receive():
                source = announcement.source
                if found := waiting.pop((source.key, source.version_id), None):
                    yield Result(found, announcement, time.monotonic() - began)
            if time.monotonic() - looked > _LOOK_SECONDS:
                looked = time.monotonic()
                self._look(execution)
                raise_if_stuck(self.aws)
        self.report = self._end(execution)

    def _look(self, execution: str) -> str:
        """The execution's status. Raises PipelineStuckError where it has not succeeded."""
        states = self.aws.client("stepfunctions")
        described = states.describe_execution(executionArn=execution)
        if described["status"] not in ("RUNNING", "SUCCEEDED"):
            raise PipelineStuckError(
                f"the batch ended as {described['status']} ({described.get('error')}: {described.get('cause')}); "
                f"see {self.aws.surroundings.logs}"
            )
        events = states.get_execution_history(executionArn=execution, reverseOrder=True)["events"]
        # In one order in AWS, and in the other here.
        entered = [event for event in events if "stateEnteredEventDetails" in event]
        if described["status"] == "RUNNING" and entered:
            self.told(max(entered, key=lambda event: event["id"])["stateEnteredEventDetails"]["name"])
        return str(described["status"])

    def _end(self, execution: str) -> dict[str, Any]:
        while self._look(execution) == "RUNNING":
            time.sleep(_POLL_SECONDS)
        output: dict[str, Any] = json.loads(
            self.aws.client("stepfunctions").describe_execution(executionArn=execution)["output"]
        )
        return output
