"""The one way in which a job ends: objects, end state, announcement, mark; in this order.

Each step can be repeated, and a crash between two of them leaves a row from which the next delivery goes on. So whoever hears
an announcement finds the objects there, a job has one end state, and an announcement that was cut off is made up for.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from transcription_jobs.job import Job
from transcription_jobs.job_table import JobTable
from transcription_jobs.result_objects import ResultObjects
from whisperstack_contract.announcements import Announcement
from whisperstack_contract.errors import ErrorDocument
from whisperstack_contract.jobs import JobState

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef


class Outbox:
    def __init__(self, jobs: JobTable, objects: ResultObjects, sns: "SNSClient", announcements_topic: str) -> None:
        self._jobs = jobs
        self._objects = objects
        self._sns = sns
        self._topic = announcements_topic

    def succeed(self, job: Job, renderings: Mapping[str, bytes]) -> bool:
        """Ends the job with a transcript. False where another delivery has ended it first."""
        ended = self._jobs.end(job, self._objects.write_transcript(job, renderings))
        if ended is None:
            return False
        self.announce(ended)
        return True

    def fail(self, job: Job, error: ErrorDocument) -> bool:
        """Ends the job with an error: rejected before its first attempt, failed after. False where it has moved on."""
        state = JobState.REJECTED if job.state is JobState.RECEIVED else JobState.FAILED
        ended = self._jobs.end(job, self._objects.write_error(job, error, state))
        if ended is None:
            self._take_back_error(job)
            return False
        self.announce(ended)
        return True

    def announce(self, job: Job) -> None:
        """Tells the job's end, unless that is known to be done. The job must have ended."""
        ending = job.ending
        if ending is None:
            raise ValueError(f"job {job.job_id} is {job.state}; only an ended job can be announced")
        if job.announced_at:
            return
        if ending.state is JobState.SUCCEEDED:
            self._objects.remove_error(job)
        announcement = Announcement(
            job_id=job.job_id,
            state=ending.state,
            source=job.source,
            transcripts_bucket=self._objects.bucket,
            outputs=dict(ending.outputs),
            current=ending.current,
            error=ending.error,
        )
        self._sns.publish(TopicArn=self._topic, Message=announcement.to_json(), MessageAttributes=_attributes(announcement))
        self._jobs.mark_announced(job)

    def _take_back_error(self, job: Job) -> None:
        """An error document beside a transcript, or beside a new attempt, would be a lie."""
        winner = self._jobs.load(job.job_id)
        if winner and not (winner.ending and winner.ending.error):
            self._objects.remove_error(job)


def _attributes(announcement: Announcement) -> "dict[str, MessageAttributeValueTypeDef]":
    """What subscribers can filter on without reading the message."""
    values = {"state": announcement.state.value}
    if announcement.error:
        values["code"] = announcement.error.code
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}
