"""The job table's shape, for those who create it and those who use it.

Rows of jobs that still need something carry ACTIVE (what they wait for) and DEADLINE (when someone should look); the others
carry neither, so the index on the two holds unfinished work only, by what it waits for, the most overdue first. Rows of ended
jobs carry ENDED and ENDED_AT for a second index, by which operators list them. A few rows are no jobs; nor are their keys ids.
"""

from enum import StrEnum
from typing import Final

PARTITION_KEY: Final = "pk"  # a string: the job id

ACTIVE_INDEX: Final = "active-by-deadline"
ACTIVE: Final = "active"  # the index's partition key: an ActiveFor
DEADLINE: Final = "deadline"  # the index's sort key, a number: seconds since 1970, UTC
RECEIVED_AT: Final = "received_at"  # a number: seconds since 1970, UTC
WORK_SECONDS: Final = "work_seconds"  # a number: how long an instance is expected to work on it
ACTIVE_PROJECTION: Final = (RECEIVED_AT, WORK_SECONDS)

ENDED_INDEX: Final = "ended-by-time"
ENDED: Final = "ended"  # the index's partition key: the end state
ENDED_AT: Final = "ended_at"  # the index's sort key: ISO 8601, UTC

EXPIRES_AT: Final = "expires_at"  # a number: seconds since 1970, UTC, from when on DynamoDB deletes the row; none keeps it

ADMISSION_ROW: Final = "admission"  # how much work the endpoint has been given, and how fast it is
LISTING_ROW: Final = "listing"  # how far the search for uploads without a job has come
_BATCH_ROW: Final = "batch:"  # which execution works on a batch, and until when it counts as alive


class ActiveFor(StrEnum):
    """What an unfinished job waits for."""

    SUBMISSION = "submission"
    RESULT = "result"
    BATCH = "batch"  # for the batch that has taken it on
    ANNOUNCEMENT = "announcement"


def batch_row(prefix: str) -> str:
    """The key of the row of the batch that transcribes what lies below `prefix`."""
    return f"{_BATCH_ROW}{prefix}"
