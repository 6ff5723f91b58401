"""The one way in which a job ends: objects, end state, announcement, mark; in this order.

Each step can be repeated, and a crash between two of them leaves a row from which another goes on. So whoever hears an
announcement finds the objects there, a job has one end state, and an announcement that was cut off is made up for. Only one
caller at a time may announce a job: it is told twice only where a process died, or lost AWS's answer, between telling and
noting it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from transcription_jobs.job import Job
from transcription_jobs.job_table import JobTable
from transcription_jobs.result_objects import ResultObjects
from whisperstack_contract.announcements import Announcement
from whisperstack_contract.errors import ErrorDocument
from whisperstack_contract.jobs import JobState
from whisperstack_contract.receipt import CostReceipt

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef


class Outbox:
    def __init__(self, jobs: JobTable, objects: ResultObjects, sns: "SNSClient", announcements_topic: str) -> None:
        self._jobs = jobs
        self._objects = objects
        self._sns = sns
        self._topic = announcements_topic

    def succeed(self, job: Job, renderings: Mapping[str, bytes], state: JobState, receipt: CostReceipt) -> bool:
        """Ends the job with a transcript, whole or partial. False where another delivery has ended it first."""
        ended = self._jobs.end(job, self._objects.write_transcript(job, renderings, state, receipt))
        if ended is None:
            self._take_back_transcript(job, renderings)
            return False
        self._announce(ended)
        return True

    def fail(self, job: Job, error: ErrorDocument, state: JobState | None = None) -> bool:
        """Ends the job with an error. False where it has moved on.

        state: by default rejected before the first attempt, failed after.
        """
        state = state or (JobState.FAILED if job.attempt else JobState.REJECTED)
        ended = self._jobs.end(job, self._objects.write_error(job, error, state))
        if ended is None:
            self._take_back_error(job, error)
            return False
        self._announce(ended)
        return True

    def make_up_announcement(self, job: Job) -> bool:
        """Tells the end of a job that whoever ended it should have told by now; False where there is nothing to make up."""
        taken = self._jobs.take_over_announcement(job)
        if taken is None:
            return False
        self._announce(taken)
        return True

    def _announce(self, job: Job) -> None:
        ending = job.ending
        if ending is None:
            raise ValueError(f"job {job.job_id} is {job.state}; only an ended job can be announced")
        if ending.state.has_transcript:
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

    def _take_back_error(self, job: Job, error: ErrorDocument) -> None:
        """An error document beside a transcript, beside a new attempt, or other than the row's, would be a lie."""
        winner = self._jobs.load(job.job_id)
        if winner and winner.ending and winner.ending.error:
            if winner.ending.error != error:
                self._objects.write_error(winner, winner.ending.error, winner.state)
        elif winner:
            self._objects.remove_error(job)

    def _take_back_transcript(self, job: Job, renderings: Mapping[str, bytes]) -> None:
        """So would a transcript of a job that has failed."""
        winner = self._jobs.load(job.job_id)
        if winner and winner.ending and winner.ending.error:
            self._objects.remove_transcript(job, renderings)


def _attributes(announcement: Announcement) -> "dict[str, MessageAttributeValueTypeDef]":
    """What subscribers can filter on without reading the message."""
    values = {"state": announcement.state.value}
    if announcement.error:
        values["code"] = announcement.error.code
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}
