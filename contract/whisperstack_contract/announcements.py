"""What the pipeline tells its users when a job has ended: one JSON message on the announcements topic."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from whisperstack_contract.errors import ErrorDocument
from whisperstack_contract.jobs import JobState, SourceVersion


@dataclass(frozen=True)
class Announcement:
    """The end of one job. outputs: format → object key in transcripts_bucket ('error' for an error document).

    current: whether the outputs belong to the key's current version; superseded ones lie under the job's own id.
    """

    job_id: str
    state: JobState
    source: SourceVersion
    transcripts_bucket: str
    outputs: dict[str, str]
    current: bool
    error: ErrorDocument | None = None

    @property
    def event_id(self) -> str:
        """The same in every copy of this announcement, so that a consumer can drop repeats."""
        return f"{self.job_id}:{self.state}"

    def to_json(self) -> str:
        document: dict[str, Any] = {"event_id": self.event_id, **asdict(self)}
        document |= self.error.as_dict() if self.error else {"error": None}
        # Escaped, as queues refuse some characters that object keys may hold.
        return json.dumps(document)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Announcement":
        document = json.loads(text)
        error = document["error"]
        return cls(
            job_id=document["job_id"],
            state=JobState(document["state"]),
            source=SourceVersion(**document["source"]),
            transcripts_bucket=document["transcripts_bucket"],
            outputs=document["outputs"],
            current=document["current"],
            error=ErrorDocument(**error) if error else None,
        )
