"""The three inference options, each with its own model, image and instances. What cannot work is refused here."""

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from infra.errors import ConfigurationError, require_range
from infra.scaling import BacklogScalingSettings, ConcurrencyScalingSettings
from infra.schedules import problem_of_cron
from infra.served_model import HUB_ENGINE, WHISPERX_ENGINE, ModelLayout, ServedModel
from infra.serving_variables import ServingLimits
from infra.settings import Settings
from whisperstack_contract import variables
from whisperstack_contract.batch_limits import BatchLimits
from whisperstack_contract.inference_options import InferenceOption
from whisperstack_contract.job_times import JobTimes
from whisperstack_contract.keys import BATCH_PREFIX, UPLOAD_PREFIXES
from whisperstack_contract.limits import (
    ASYNC_INVOCATION_TIMEOUT_SECONDS,
    ASYNC_PAYLOAD_BYTES,
    BATCH_INVOCATION_TIMEOUT_SECONDS,
    BATCH_PAYLOAD_MIB,
    MIB,
    REALTIME_INVOCATION_TIMEOUT_SECONDS,
    REALTIME_PAYLOAD_BYTES,
    LimitError,
    require_batch_concurrency,
)
from whisperstack_contract.options import Task, TranscriptionOptions

# How openai-whisper names models that know no other language.
_ENGLISH_ONLY: Final = ".en"

_REAL_TIME_ONLY: Final = (HUB_ENGINE, WHISPERX_ENGINE)

# Source: CreateTransformJob API, ModelClientConfig and TransformResources.
_MOST_BATCH_RETRIES: Final = 3
_MOST_BATCH_INSTANCES: Final = 100

# Ours: a job that takes longer holds too much. Step Functions runs up to 10,000 children of a map at a time, more than a quota
# of instances has room for. Source: Step Functions developer guide, "Map state in Distributed mode".
_MOST_JOB_HOURS: Final = 5 * 24
_MOST_JOBS_AT_A_TIME: Final = 1000
# Source: EventBridge user guide, "Schedule expressions": singular for 1.
_RATE: Final = re.compile(r"rate\((1 (minute|hour|day)|(?!1 )[1-9]\d* (minutes|hours|days))\)")

# An update may take eight hours in all, of which an hour is for starting instances twice. Source: CreateEndpoint API.
_MOST_WAITING_SECONDS: Final = 7 * 3600


@dataclass(frozen=True, kw_only=True)
class AsynchronousSettings(ServedModel):
    """The asynchronous endpoint. invocation_timeout_seconds: how long one recording may take before SageMaker gives it up.

    default_options: of recordings whose metadata does not say otherwise.
    prompts_from_metadata: whether an upload's metadata may say what the model is prompted with.
    job_times: what a job may take and how often it is tried; its invocation_timeout is the one above, and how long rows are
    kept follows the environment's retention.
    scaling: between how many instances, and when. reconcile_minutes: between two searches for jobs that were lost on their way.
    """

    invocation_timeout_seconds: int = ASYNC_INVOCATION_TIMEOUT_SECONDS
    default_options: TranscriptionOptions = field(default_factory=TranscriptionOptions)
    prompts_from_metadata: bool = False
    scaling: BacklogScalingSettings = field(default_factory=BacklogScalingSettings)
    job_times: JobTimes = field(default_factory=JobTimes)
    reconcile_minutes: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_contract(self, "asynchronous")
        require_range("invocation_timeout_seconds", self.invocation_timeout_seconds, 1, ASYNC_INVOCATION_TIMEOUT_SECONDS)
        self.require_time(InferenceOption.ASYNCHRONOUS, self.invocation_timeout_seconds)
        self._require_options()
        require_range("reconcile_minutes", self.reconcile_minutes, 1, 60)

    def _require_options(self) -> None:
        """The defaults are every upload's, so what the model cannot do would fail all of them."""
        asked = self.default_options
        if self.model.endswith(_ENGLISH_ONLY) and (asked.language not in (None, "en") or asked.task is Task.TRANSLATE):
            raise ConfigurationError(
                f"default_options have language {asked.language!r}, task {str(asked.task)!r}; {self.model} knows English only "
                f"and cannot translate; choose {self.model.removesuffix(_ENGLISH_ONLY)}, or leave both out"
            )

    def keeping_rows(self, seconds: int | None) -> "AsynchronousSettings":
        return replace(self, job_times=replace(self.job_times, kept=seconds))

    @property
    def job_variables(self) -> dict[str, str]:
        """What all functions that handle jobs must agree on."""
        times = replace(self.job_times, invocation_timeout=self.invocation_timeout_seconds)
        slots = self.scaling.max_instances * self.workers
        return {variables.JOB_TIMES: times.to_json(), variables.ENDPOINT_SLOTS: str(slots)}

    @property
    def serving_limits(self) -> ServingLimits:
        return ServingLimits(self.invocation_timeout_seconds, ASYNC_PAYLOAD_BYTES, self.workers)


class TrafficShift(StrEnum):
    """How an update moves requests to the new instances."""

    ALL_AT_ONCE = "ALL_AT_ONCE"
    CANARY = "CANARY"
    LINEAR = "LINEAR"


@dataclass(frozen=True)
class UpdateSettings(Settings):
    """How a real-time endpoint is updated.

    traffic: all at once, by canary or in linear steps.
    step_percent: of the instances, that get requests first (canary) or at a time (linear).
    wait_seconds: between two steps, and after the last, in which a rollback alarm undoes the update.
    termination_wait_seconds: how long the old instances stay after that.
    """

    traffic: TrafficShift = TrafficShift.ALL_AT_ONCE
    step_percent: int = 50
    wait_seconds: int = 900
    termination_wait_seconds: int = 120

    def __post_init__(self) -> None:
        # Source: CreateEndpoint API, TrafficRoutingConfig and BlueGreenUpdatePolicy. A linear step is at least 10%.
        require_range("step_percent", self.step_percent, 10 if self.traffic is TrafficShift.LINEAR else 1, 50)
        require_range("wait_seconds", self.wait_seconds, 0, 3600)
        require_range("termination_wait_seconds", self.termination_wait_seconds, 0, 3600)
        if self.waiting_seconds > _MOST_WAITING_SECONDS:
            raise ConfigurationError(
                f"an update in {self.steps} steps waits for {self.waiting_seconds} s; it must be at most "
                f"{_MOST_WAITING_SECONDS}; lower wait_seconds, or raise step_percent"
            )

    @property
    def steps(self) -> int:
        if self.traffic is TrafficShift.LINEAR:
            return -(-100 // self.step_percent)
        return 2 if self.traffic is TrafficShift.CANARY else 1

    @property
    def waiting_seconds(self) -> int:
        return self.steps * self.wait_seconds + self.termination_wait_seconds


@dataclass(frozen=True, kw_only=True)
class RealtimeSettings(ServedModel):
    """A real-time endpoint.

    payload_bytes: the largest request and answer; at most SageMaker's own limit, which was lower at times.
    queued_requests: how many may wait in an instance while all of its workers are busy; more are answered with 503 at once.
    idle_alarm_hours: without a request, after which someone is told that the endpoint still costs money.
    instance_hours_a_day: above which an alarm tells; None allows twelve above what the least number of instances uses.
    scaling: between how many instances, and when. updates: how requests move to the instances of a new release.
    captured_percent: of the requests that are kept together with their answers, recordings and all; 0 keeps none.
    """

    payload_bytes: int = REALTIME_PAYLOAD_BYTES
    queued_requests: int = 2
    idle_alarm_hours: int = 12
    instance_hours_a_day: float | None = None
    captured_percent: int = 0
    scaling: ConcurrencyScalingSettings = field(default_factory=ConcurrencyScalingSettings)
    updates: UpdateSettings = field(default_factory=UpdateSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range("payload_bytes", self.payload_bytes, 1 * MIB, REALTIME_PAYLOAD_BYTES)
        self.require_time(InferenceOption.REAL_TIME, REALTIME_INVOCATION_TIMEOUT_SECONDS)
        require_range("queued_requests", self.queued_requests, 1, 100)
        require_range("idle_alarm_hours", self.idle_alarm_hours, 1, 24)
        require_range("captured_percent", self.captured_percent, 0, 100)
        if self.instance_hours_a_day is not None:
            require_range("instance_hours_a_day", self.instance_hours_a_day, 1, 2400)
        if self.updates.traffic is not TrafficShift.ALL_AT_ONCE and self.scaling.least_instances < 2:
            raise ConfigurationError(
                f"updates are {self.updates.traffic} with {self.scaling.least_instances} instance; moving requests in steps "
                f"needs at least 2 at all times; raise min_instances, or use {TrafficShift.ALL_AT_ONCE}"
            )

    @property
    def serving_limits(self) -> ServingLimits:
        return ServingLimits(
            REALTIME_INVOCATION_TIMEOUT_SECONDS, self.payload_bytes, self.workers, queued_requests=self.queued_requests
        )

    @property
    def hours_a_day(self) -> float:
        least = 24 * self.scaling.min_instances
        return self.instance_hours_a_day if self.instance_hours_a_day is not None else least + 12

    @property
    def most_at_a_time(self) -> int:
        """Requests that an instance takes, waiting or being answered, before it refuses one."""
        return self.workers + self.queued_requests

    @property
    def target_concurrency(self) -> float:
        """Requests that one instance should have, waiting or being answered; never more than its workers."""
        return self.workers * self.scaling.utilisation


@dataclass(frozen=True)
class BatchSchedule(Settings):
    """expression: of an EventBridge rule, in UTC, such as 'cron(0 2 * * ? *)'. prefix: of the recordings, with a / behind."""

    expression: str
    prefix: str

    def __post_init__(self) -> None:
        if not _RATE.fullmatch(self.expression) and (problem := problem_of_cron(self.expression)):
            raise ConfigurationError(
                f"the schedule is {self.expression!r}; {problem}; write one such as 'cron(0 2 * * ? *)' or 'rate(1 day)'"
            )
        if self.prefix == BATCH_PREFIX or "//" in self.prefix:
            raise ConfigurationError(
                f"the schedule's prefix is {self.prefix!r}; it must begin with a folder's name, such as "
                f"{BATCH_PREFIX}july/, or be incoming/"
            )
        if not (self.prefix.startswith(UPLOAD_PREFIXES) and self.prefix.endswith("/")):
            raise ConfigurationError(
                f"the schedule's prefix is {self.prefix!r}; it must begin with {' or '.join(UPLOAD_PREFIXES)} and end with a /"
            )


@dataclass(frozen=True, kw_only=True)
class BatchSettings(ServedModel):
    """Transform jobs, and the workflow that plans them.

    payload_mib: the largest recording; larger ones go to the asynchronous endpoint. concurrency: requests that an instance gets
    at a time, whatever their size, so that times payload_mib it is at most 100. None for one for each worker, which is
    the most, and fewer in jobs with recordings too large for that.
    invocation_timeout_seconds: that one recording may take. retries: of one recording.
    instances_per_job: of one job. job_hours: how long one may take.
    shard_mib: recordings that one job gets, about. jobs_at_a_time: each needs its instances within the account's quota.
    poll_seconds: at least, between two looks at whether a run may begin; a run that has long waited looks less often.
    schedule: begins a run by itself; None leaves it to markers and commands.
    """

    payload_mib: int = BATCH_PAYLOAD_MIB
    concurrency: int | None = None
    invocation_timeout_seconds: int = BATCH_INVOCATION_TIMEOUT_SECONDS
    retries: int = 1
    instances_per_job: int = 1
    job_hours: int = 24
    shard_mib: int = 512
    jobs_at_a_time: int = 4
    poll_seconds: int = 60
    schedule: BatchSchedule | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_contract(self, "batch")
        if self.alternatives:
            raise ConfigurationError(
                f"alternatives is {self.alternatives!r}; a transform job runs on one instance type; leave it empty"
            )
        # Source: CreateModel API, ModelDataSource.
        if self.layout is not ModelLayout.ARCHIVE:
            raise ConfigurationError(
                f"layout is {self.layout}; transform jobs take a model as an archive only; set {ModelLayout.ARCHIVE}"
            )
        require_range("invocation_timeout_seconds", self.invocation_timeout_seconds, 1, BATCH_INVOCATION_TIMEOUT_SECONDS)
        self.require_time(InferenceOption.BATCH, self.invocation_timeout_seconds)
        require_range("retries", self.retries, 0, _MOST_BATCH_RETRIES)
        require_range("instances_per_job", self.instances_per_job, 1, _MOST_BATCH_INSTANCES)
        require_range("job_hours", self.job_hours, 1, _MOST_JOB_HOURS)
        require_range("jobs_at_a_time", self.jobs_at_a_time, 1, _MOST_JOBS_AT_A_TIME)
        require_range("poll_seconds", self.poll_seconds, 1, 3600)
        try:
            self.limits  # noqa: B018  # it is what checks
        except LimitError as error:
            raise ConfigurationError(str(error)) from error
        if self.concurrency is not None:
            self._require_concurrency(self.concurrency)

    def _require_concurrency(self, concurrency: int) -> None:
        """Written out it is meant for every job, those with the largest recordings included."""
        try:
            require_batch_concurrency(concurrency, self.payload_mib)
        except LimitError as error:
            raise ConfigurationError(
                f"{error}, or leave it out: each job then gets what its largest recording allows"
            ) from error
        # Last: to raise workers must not run into the limit above.
        if concurrency > self.workers:
            raise ConfigurationError(
                f"concurrency is {concurrency} and workers {self.workers}; more requests than workers only wait; "
                "lower it, or raise workers"
            )

    @property
    def limits(self) -> BatchLimits:
        """What the planner keeps to. Raises LimitError."""
        concurrency = self.workers if self.concurrency is None else self.concurrency
        return BatchLimits(self.payload_mib, concurrency, self.shard_mib)

    @property
    def serving_limits(self) -> ServingLimits:
        return ServingLimits(self.invocation_timeout_seconds, self.payload_mib * MIB, self.workers)


def _require_contract(settings: ServedModel, option: str) -> None:
    if settings.engine in _REAL_TIME_ONLY:
        raise ConfigurationError(
            f"engine is {settings.engine!r} for {option} inference; it stands outside the transcript contract and takes "
            "real-time requests only; choose 'pytorch' or 'huggingface'"
        )
