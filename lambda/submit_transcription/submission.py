"""From an upload to a request that SageMaker has accepted, once, however often the upload is told."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from submit_transcription.settings import Settings
from submit_transcription.upload import Turn, Upload
from transcription_jobs.admission import Admission
from transcription_jobs.job import UNKNOWN_CONTENT_TYPE, Job
from transcription_jobs.job_table import JobTable
from transcription_jobs.outbox import Outbox
from transcription_jobs.refusals import refuse_unusable
from transcription_jobs.staging import look_at, stage
from whisperstack_contract import keys
from whisperstack_contract.errors import (
    InvalidOptionsError,
    JobExpiredError,
    RejectedInputError,
    TranscriptionError,
    VersionGoneError,
)
from whisperstack_contract.jobs import JobState, inference_id, job_id
from whisperstack_contract.option_metadata import options_from_metadata
from whisperstack_contract.options import PartialOptions

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient


class Outcome(StrEnum):
    """postponed: there is no room at the endpoint now. waiting: for its next attempt, which is not due."""

    SUBMITTED = "submitted"
    REJECTED = "rejected"
    POSTPONED = "postponed"
    WAITING = "waiting"
    EXPIRED = "expired"
    REPEATED = "repeated"


class ContestedSubmissionError(Exception):
    """Another delivery is submitting the job at this moment; a later look finds what it did."""


@dataclass(frozen=True)
class Submission:
    settings: Settings
    jobs: JobTable
    admission: Admission
    outbox: Outbox
    s3: "S3Client"
    sagemaker: "SageMakerRuntimeClient"

    def submit(self, upload: Upload) -> Outcome:
        """Raises whatever keeps the job from being submitted now; a repetition goes on where this one stopped."""
        self._check_is_ours(upload)
        # An event that comes again must not bring an attempt forward.
        return self._go_on(self._job_of(upload), in_turn=False)

    def take_turn(self, turn: Turn) -> Outcome:
        """Submits a job that has waited. Raises LookupError where there is no such job."""
        job = self.jobs.load(turn.job_id)
        if job is None:
            raise LookupError(f"job {turn.job_id} has its turn but no row; check that both functions use one table")
        return self._go_on(job, in_turn=True)

    def _go_on(self, job: Job, *, in_turn: bool) -> Outcome:
        if job.ending:
            self.outbox.make_up_announcement(job)
            return Outcome.REPEATED
        # In another state it tells of an earlier attempt, by a function that was slow to write it down.
        if job.state is JobState.SUBMITTED and job.invoked_at:
            return Outcome.REPEATED
        if job.state is JobState.RECEIVED:
            if job.attempt and (job.deadline is None or job.deadline > self.jobs.now):
                return Outcome.WAITING
            if job.received_at + self.jobs.times.age_limit < self.jobs.now:
                return self._expire(job)
            try:
                submitted = self._prepare(job, in_turn=in_turn)
            except (RejectedInputError, InvalidOptionsError, VersionGoneError) as error:
                return self._reject(job, error)
            if submitted is None:
                return Outcome.POSTPONED
            job = submitted
        self._invoke(job)
        return Outcome.SUBMITTED

    def _check_is_ours(self, upload: Upload) -> None:
        if upload.source.bucket != self.settings.audio_bucket:
            raise ValueError(f"the upload is in {upload.source.bucket!r}, not in the audio bucket; check the rule")
        keys.name_of(upload.source.key)

    def _job_of(self, upload: Upload) -> Job:
        new = Job(
            job_id=job_id(upload.source),
            source=upload.source,
            size_bytes=upload.size_bytes,
            options=self.settings.default_options.to_json(),
            model_digest=self.settings.model_digest,
            created_at=self.jobs.clock().isoformat(),
            received_at=self.jobs.now,
        )
        if self.jobs.create(new):
            return new
        existing = self.jobs.load(new.job_id)
        if existing is None:
            raise RuntimeError(f"the row of job {new.job_id} was there and is gone; rows must not be deleted by hand")
        return existing

    def _prepare(self, job: Job, *, in_turn: bool) -> Job | None:
        """Stages the recording, takes room at the endpoint and writes down options and the intent to invoke.

        None where there is no room. Raises the reason for a rejection.
        """
        refuse_unusable(job.source, job.size_bytes)
        staged = self._staged(job)
        work_seconds = self.admission.estimate(job.size_bytes)
        if not self.admission.reserve(work_seconds, in_turn=in_turn):
            self.jobs.postpone(staged, work_seconds)
            return None
        submitted = self.jobs.begin_attempt(staged, work_seconds)
        if submitted is None:
            self.admission.release(work_seconds)
            # To go on could invoke twice; to stop could lose the job if the other delivery dies. So look again later.
            raise ContestedSubmissionError(f"another delivery is submitting job {job.job_id} at this moment")
        return submitted

    def _staged(self, job: Job) -> Job:
        """The job with its recording staged. Once it is, the upload can be deleted or overwritten while the job waits."""
        if job.content_type:
            return job
        uploaded = look_at(self.s3, job.source)
        said = options_from_metadata(uploaded.metadata, prompts_allowed=self.settings.prompts_from_metadata)
        # Over the defaults of when the upload was first seen.
        options = said.over(PartialOptions.from_json(job.options)).resolve().to_custom_attributes()
        stage(self.s3, job.source, uploaded.content_type, self.settings.audio_bucket, keys.staged_key(job.job_id))
        return replace(job, options=options, content_type=uploaded.content_type)

    def _reject(self, job: Job, error: TranscriptionError) -> Outcome:
        return Outcome.REJECTED if self.outbox.fail(job, error.document()) else Outcome.REPEATED

    def _expire(self, job: Job) -> Outcome:
        error = JobExpiredError(
            f"the job is older than {self.jobs.times.age_limit // 3600} hours and was not transcribed in that time; "
            "look at the endpoint's alarms, then upload the recording again"
        )
        return Outcome.EXPIRED if self.outbox.fail(job, error.document(), JobState.EXPIRED) else Outcome.REPEATED

    def _invoke(self, job: Job) -> None:
        response = self.sagemaker.invoke_endpoint_async(
            EndpointName=self.settings.endpoint_name,
            InputLocation=f"s3://{self.settings.audio_bucket}/{keys.staged_key(job.job_id)}",
            InferenceId=inference_id(job.job_id, job.attempt),
            ContentType=job.content_type or UNKNOWN_CONTENT_TYPE,
            CustomAttributes=job.options,
            InvocationTimeoutSeconds=self.jobs.times.invocation_timeout,
            RequestTTLSeconds=self.jobs.times.request_ttl,
            S3OutputPathExtension=keys.raw_extension(job.job_id, job.attempt),
            Filename=keys.RAW_FILENAME,
        )
        self.jobs.record_invocation(job, response["OutputLocation"], response.get("FailureLocation"))
