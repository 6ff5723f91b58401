"""Names of the metrics that the functions count and the dashboards show; none has dimensions."""

from typing import Final

NAMESPACE: Final = "Whisperstack"

JOBS_SUBMITTED: Final = "JobsSubmitted"
JOBS_REJECTED: Final = "JobsRejected"
JOBS_SUCCEEDED: Final = "JobsSucceeded"
JOBS_FAILED: Final = "JobsFailed"

# What SageMaker publishes to the result topics besides our results.
ENDPOINT_TEST_MESSAGES: Final = "EndpointTestMessages"
FOREIGN_RESULTS: Final = "ForeignResults"
