"""Whose result a key's names hold after a version was deleted, or brought back: the one that S3 now calls current."""

from dataclasses import dataclass

from record_result.notification import Deletion
from transcription_jobs.job import Job
from transcription_jobs.job_table import JobTable
from transcription_jobs.result_objects import ResultObjects
from whisperstack_contract import keys
from whisperstack_contract.jobs import SourceVersion, job_id


@dataclass(frozen=True)
class Ownership:
    jobs: JobTable
    objects: ResultObjects
    audio_bucket: str

    def settle(self, deletion: Deletion) -> str | None:
        """The job whose result the names now hold; None where no version is current, or the current one has no result yet.

        Raises ValueError for a bucket that is not ours.
        """
        if deletion.bucket != self.audio_bucket:
            raise ValueError(f"the deletion is in {deletion.bucket!r}, not in the audio bucket; check the rule")
        keys.name_of(deletion.key)
        version = self.objects.current_version(deletion.bucket, deletion.key)
        job = self._ended_job(SourceVersion(deletion.bucket, deletion.key, version)) if version else None
        settled = job.job_id if job and self._publish(job) else None
        if not (job and job.ending and job.ending.state.has_transcript):
            self._finish(deletion.key)
        return settled

    def _publish(self, job: Job) -> bool:
        if job.ending is None:
            return False
        if job.ending.error:
            return self.objects.publish(job, {keys.ERROR_SUFFIX: job.ending.error.to_json().encode()})
        owns = self.objects.publish(job, self.objects.read_renderings(job.job_id, job.ending.outputs))
        self.objects.remove_error(job)
        return owns

    def _finish(self, upload_key: str) -> None:
        """An earlier version's transcript stays where it is, whole: whoever was putting it there may have been cut off."""
        owner = self.objects.owner(upload_key)
        job = self.jobs.load(owner) if owner else None
        if job and job.ending and job.ending.state.has_transcript:
            self.objects.publish(job, self.objects.read_renderings(job.job_id, job.ending.outputs))

    def _ended_job(self, source: SourceVersion) -> Job | None:
        """The version's last run that has ended."""
        found, run = None, 0
        while job := self.jobs.load(job_id(source, run)):
            found, run = job if job.ending else found, run + 1
        return found
