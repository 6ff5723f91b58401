"""Names of the metrics that the functions count and the dashboards show.

Each has the dimension `service`, the function's package: Powertools adds it. Those of an endpoint have `EndpointName` too.
"""

from typing import Final

NAMESPACE: Final = "Whisperstack"

JOBS_SUBMITTED: Final = "JobsSubmitted"
JOBS_REJECTED: Final = "JobsRejected"
JOBS_SUCCEEDED: Final = "JobsSucceeded"
JOBS_FAILED: Final = "JobsFailed"
JOBS_EXPIRED: Final = "JobsExpired"
JOBS_POSTPONED: Final = "JobsPostponed"
JOBS_RETRIED: Final = "JobsRetried"

# What was lost on its way, and found.
REQUESTS_LOST: Final = "RequestsLost"
RESULTS_FOUND: Final = "ResultsFound"
UPLOADS_FOUND: Final = "UploadsFound"
ANNOUNCEMENTS_FOUND: Final = "AnnouncementsFound"

# What SageMaker publishes to the result topics besides our results.
ENDPOINT_TEST_MESSAGES: Final = "EndpointTestMessages"
FOREIGN_RESULTS: Final = "ForeignResults"

# Of an endpoint.
CANARIES_PASSED: Final = "CanariesPassed"
CANARIES_FAILED: Final = "CanariesFailed"
INSTANCES: Final = "Instances"
INSTANCE_HOURS: Final = "InstanceHours"
INSTANCE_HOURS_TODAY: Final = "InstanceHoursToday"
