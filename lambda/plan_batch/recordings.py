"""What a batch does with one recording: transcribe it, refuse it, hand it on, or leave it alone.

Whatever is done here can be done again. A recording is staged before its row is written, and the row is the intent: so a row
without an output is a recording to transcribe, and one with an output is never transcribed again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from batch_runs.run import Run
from batch_runs.work_files import Line
from plan_batch.settings import Settings
from transcription_jobs.job import UNKNOWN_CONTENT_TYPE, Job
from transcription_jobs.job_table import JobTable
from transcription_jobs.outbox import Outbox
from transcription_jobs.refusals import refuse_unusable
from transcription_jobs.staging import look_at, stage
from whisperstack_contract import keys
from whisperstack_contract.errors import (
    ErrorDocument,
    InvalidOptionsError,
    RejectedInputError,
    TranscriptionError,
    VersionGoneError,
)
from whisperstack_contract.inference_options import InferenceOption, file_too_large
from whisperstack_contract.jobs import JobState, SourceVersion, job_id
from whisperstack_contract.option_metadata import options_from_metadata
from whisperstack_contract.options import PartialOptions

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Verdict(StrEnum):
    """planned: to be transcribed. stored: by a former execution, and to be collected. too_large: for asynchronous inference.

    done: has its transcript. failed_before: has ended without one. in_flight: another, or the endpoint, is at it.
    """

    PLANNED = "planned"
    STORED = "stored"
    REJECTED = "rejected"
    TOO_LARGE = "too_large"
    DONE = "done"
    FAILED_BEFORE = "failed_before"
    IN_FLIGHT = "in_flight"


class Recording(NamedTuple):
    source: SourceVersion
    size_bytes: int
    job_id: str

    @classmethod
    def of(cls, source: SourceVersion, size_bytes: int) -> "Recording":
        return cls(source, size_bytes, job_id(source))


class Plan(NamedTuple):
    """line: for the note, None where there is nothing to tell. options: of a recording to transcribe."""

    verdict: Verdict
    line: Sequence[Any] | None = None
    options: str = ""


@dataclass(frozen=True)
class Recordings:
    settings: Settings
    jobs: JobTable
    outbox: Outbox
    s3: "S3Client"

    def plan(self, run: Run, recording: Recording, job: Job | None) -> Plan:
        """job: as its row was a moment ago, None where it had none."""
        if job is None:
            return self._begin(run, recording)
        if job.ending:
            self.outbox.make_up_announcement(job)
            if job.state.has_transcript:
                return Plan(Verdict.DONE)
            error = job.ending.error
            told = (error.code, error.message) if error else ("", "")
            return Plan(Verdict.FAILED_BEFORE, (Line.FAILED_BEFORE, job.source.key, *told))
        if job.batch != run.prefix:
            return Plan(Verdict.IN_FLIGHT)
        if job.state is JobState.SUBMITTED:
            return self._go_on(run, job)
        # An execution died while it refused the recording.
        return self._refused_again(job)

    def _begin(self, run: Run, recording: Recording) -> Plan:
        new = Job(
            job_id=recording.job_id,
            source=recording.source,
            size_bytes=recording.size_bytes,
            options=self.settings.default_options.to_json(),
            model_digest=self.settings.model_digest,
            created_at=self.jobs.clock().isoformat(),
            received_at=self.jobs.now,
            batch=run.prefix,
        )
        try:
            if self._is_for_asynchronous(recording):
                source = recording.source
                return Plan(Verdict.TOO_LARGE, (Line.TOO_LARGE, source.key, source.version_id, recording.size_bytes))
            staged = replace(self._staged(new), output_location=self._output_location(run, new))
        except (RejectedInputError, InvalidOptionsError, VersionGoneError) as error:
            return self._refuse(run, recording, new, error)
        if self.jobs.create_in_batch(staged):
            return _to_transcribe(staged)
        return self.plan(run, recording, self._load(new.job_id))

    def _is_for_asynchronous(self, recording: Recording) -> bool:
        """Raises what the recording is refused with, if it is."""
        refuse_unusable(recording.source, recording.size_bytes)
        limit = self.settings.limits.payload_bytes
        if recording.size_bytes <= limit:
            return False
        if not self.settings.leftovers:
            raise file_too_large(recording.size_bytes, InferenceOption.BATCH, limit)
        return True

    def _staged(self, job: Job) -> Job:
        uploaded = look_at(self.s3, job.source)
        said = options_from_metadata(uploaded.metadata, prompts_allowed=self.settings.prompts_from_metadata)
        # Within what a request to the endpoint can say: asynchronous inference may have to take over.
        options = said.over(PartialOptions.from_json(job.options)).resolve().to_custom_attributes()
        self._stage(job, uploaded.content_type)
        return replace(job, options=options, content_type=uploaded.content_type)

    def _stage(self, job: Job, content_type: str) -> None:
        stage(self.s3, job.source, content_type, self.settings.audio_bucket, keys.staged_key(job.job_id))

    def _refuse(self, run: Run, recording: Recording, job: Job, error: TranscriptionError) -> Plan:
        if not self.jobs.create(job):
            existing = self._load(job.job_id)
            if existing.batch != run.prefix or existing.state is not JobState.RECEIVED:
                return self.plan(run, recording, existing)
            job = existing
        return self._end(job, error.document())

    def _refused_again(self, job: Job) -> Plan:
        try:
            self._is_for_asynchronous(Recording(job.source, job.size_bytes, job.job_id))
            self._staged(job)
        except (RejectedInputError, InvalidOptionsError, VersionGoneError) as error:
            return self._end(job, error.document())
        # The environment's limits have changed meanwhile: the reconciler gives it its turn at the endpoint.
        return Plan(Verdict.IN_FLIGHT)

    def _go_on(self, run: Run, job: Job) -> Plan:
        """With a recording that this or a former execution of the batch was to transcribe."""
        location = self._output_location(run, job)
        if job.output_location == location:
            return _to_transcribe(job)
        if job.output_location and self._is_there(job.output_location):
            return Plan(Verdict.STORED, (Line.STORED, job.job_id, job.size_bytes))
        try:
            # The first copy may have expired.
            self._stage(job, job.content_type or UNKNOWN_CONTENT_TYPE)
        except VersionGoneError as error:
            return self._end(job, error.document())
        moved = self.jobs.try_in_batch(job, location)
        return _to_transcribe(moved) if moved else Plan(Verdict.IN_FLIGHT)

    def _end(self, job: Job, error: ErrorDocument) -> Plan:
        if not self.outbox.fail(job, error):
            return Plan(Verdict.IN_FLIGHT)
        return Plan(Verdict.REJECTED, (Line.REFUSED, job.source.key, error.code, error.message))

    def _load(self, job_id: str) -> Job:
        job = self.jobs.load(job_id)
        if job is None:
            raise RuntimeError(f"the row of job {job_id} was there and is gone; rows must not be deleted by hand")
        return job

    def _output_location(self, run: Run, job: Job) -> str:
        return f"s3://{self.settings.transcripts_bucket}/{keys.batch_output_key(run.token, 1, job.job_id)}"

    def _is_there(self, location: str) -> bool:
        bucket_uri = f"s3://{self.settings.transcripts_bucket}/"
        try:
            self.s3.head_object(Bucket=self.settings.transcripts_bucket, Key=location.removeprefix(bucket_uri))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True


def _to_transcribe(job: Job) -> Plan:
    return Plan(Verdict.PLANNED, (Line.TRANSCRIBE, job.job_id, job.size_bytes), job.options)
