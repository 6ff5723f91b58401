"""Pipelines that lack one of their safeguards. The simulation must find each out, or some fault is missing.

They are made here, between the functions and AWS, or by replacing a part; the product has no switch for any of it.
"""

from dataclasses import dataclass
from typing import Any, Final

from simulation.functions import AUDIO_BUCKET
from simulation.world import TIMES, Parts
from transcription_jobs.job import Job
from transcription_jobs.outbox import Outbox
from whisperstack_contract.job_times import JobTimes


class _Between:
    """A client with some of its calls changed."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class _UnconditionalTable(_Between):
    """Writes whatever the row says by now; the sums of admission keep their condition, which is no state."""

    def update_item(self, **parameters: Any) -> Any:
        if ":state" in parameters["ExpressionAttributeValues"]:
            parameters["ConditionExpression"] = ""
        return self._client.update_item(**parameters)

    def put_item(self, **parameters: Any) -> Any:
        return self._client.put_item(**{**parameters, "ConditionExpression": ""})


class _NoCopies(_Between):
    """Nothing is staged; `sources` remembers what would have been."""

    def __init__(self, client: Any, sources: dict[str, str]) -> None:
        super().__init__(client)
        self._sources = sources

    def copy_object(self, *, Key: str, CopySource: dict[str, str], **_more: Any) -> Any:  # noqa: N803
        self._sources[Key] = CopySource["Key"]
        # The version must still be there, as for a copy.
        return self._client.head_object(**CopySource)


class _UploadsAsInput(_Between):
    """The endpoint is given the upload's own key, which names whatever version is current when it looks."""

    def __init__(self, client: Any, sources: dict[str, str]) -> None:
        super().__init__(client)
        self._sources = sources

    def invoke_endpoint_async(self, *, InputLocation: str, **parameters: Any) -> Any:  # noqa: N803
        staged = InputLocation.removeprefix(f"s3://{AUDIO_BUCKET}/")
        source = f"s3://{AUDIO_BUCKET}/{self._sources[staged]}"
        return self._client.invoke_endpoint_async(InputLocation=source, **parameters)


class _ForgetfulOutbox(Outbox):
    """Announces an end when it ends the job, and never makes up for it."""

    def make_up_announcement(self, job: Job) -> bool:  # noqa: ARG002
        return False


@dataclass(frozen=True)
class _Endless(JobTimes):
    """No request ever counts as vanished, and no job as too old."""

    @property
    def answer(self) -> int:
        return 10**9


@dataclass(frozen=True)
class Mutant:
    """what: the safeguard that it lacks, and what then goes wrong."""

    name: str
    what: str
    parts: Parts


def _no_staged_copies() -> Parts:
    sources: dict[str, str] = {}
    return Parts(s3=lambda client: _NoCopies(client, sources), sagemaker=lambda client: _UploadsAsInput(client, sources))


def mutants() -> list[Mutant]:
    endless = _Endless(**{**vars(TIMES), "age_limit": 10**9})
    return [
        Mutant("reconciler", "nobody looks for what was lost", Parts(reconciler=False)),
        Mutant("conditional-write", "the job table is written without conditions", Parts(dynamodb=_UnconditionalTable)),
        Mutant("staged-copy", "the endpoint reads the upload itself, not a copy of its version", _no_staged_copies()),
        Mutant("outbox", "an announcement that was cut off is not made up for", Parts(outbox=_ForgetfulOutbox)),
        Mutant("dead-letters", "a message is gone after its last delivery", Parts(dead_letters=False)),
        Mutant("deadline", "a request without an answer is waited for without end", Parts(times=endless)),
    ]


NAMES: Final = tuple(mutant.name for mutant in mutants())


def find_mutant(name: str) -> Mutant:
    """Made anew, as some of them remember things. Raises KeyError."""
    return {mutant.name: mutant for mutant in mutants()}[name]
