"""The job table's shape, for those who create it and those who use it.

Rows of jobs that still need something (an end state, or its announcement) carry ACTIVE and DEADLINE; the others carry neither,
so the index on the two holds unfinished work only, the most overdue first.
"""

from typing import Final

PARTITION_KEY: Final = "pk"  # a string: the job id

ACTIVE_INDEX: Final = "active-by-deadline"
ACTIVE: Final = "active"  # the index's partition key: always ACTIVE_VALUE where it is there
ACTIVE_VALUE: Final = "active"
DEADLINE: Final = "deadline"  # the index's sort key, a number: seconds since 1970, UTC
