"""What CloudWatch has: namespace, metric, the exact dimensions, and the statistics that mean something.

Source: SageMaker developer guide, "Monitor asynchronous endpoints" and "SageMaker AI metrics in CloudWatch"; SQS and Lambda
developer guides, the pages on CloudWatch metrics. Our own stand below.
"""

_ENDPOINT = frozenset({"EndpointName"})
_VARIANT = frozenset({"EndpointName", "VariantName"})
_COUNT = frozenset({"Sum", "Average"})
_GAUGE = frozenset({"Average", "Maximum", "Minimum"})
_TIME = frozenset({"Average", "Maximum", "Minimum", "p50", "p95", "p99"})

# (namespace, metric) → (dimensions, statistics)
PUBLISHED = {
    ("AWS/SageMaker", "ApproximateBacklogSize"): (_ENDPOINT, _GAUGE),
    ("AWS/SageMaker", "ApproximateBacklogSizePerInstance"): (_ENDPOINT, _GAUGE),
    ("AWS/SageMaker", "ApproximateAgeOfOldestRequest"): (_ENDPOINT, _GAUGE),
    ("AWS/SageMaker", "HasBacklogWithoutCapacity"): (_ENDPOINT, _GAUGE),
    ("AWS/SageMaker", "RequestDownloadFailures"): (_VARIANT, _COUNT),
    ("AWS/SageMaker", "ResponseUploadFailures"): (_VARIANT, _COUNT),
    ("AWS/SageMaker", "NotificationFailures"): (_VARIANT, _COUNT),
    ("AWS/SageMaker", "ExpiredRequests"): (_VARIANT, _COUNT),
    ("AWS/SageMaker", "InvocationFailures"): (_VARIANT, _COUNT),
    ("AWS/SageMaker", "Invocation4XXErrors"): (_VARIANT, _COUNT),
    ("AWS/SageMaker", "Invocation5XXErrors"): (_VARIANT, _COUNT),
    ("AWS/SageMaker", "TimeInBacklog"): (_VARIANT, _TIME),
    ("AWS/SageMaker", "TotalProcessingTime"): (_VARIANT, _TIME),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): (frozenset({"QueueName"}), _GAUGE),
    ("AWS/Lambda", "Errors"): (frozenset({"FunctionName"}), _COUNT),
    # Source: Step Functions developer guide, "Monitoring metrics using CloudWatch".
    ("AWS/States", "ExecutionsFailed"): (frozenset({"StateMachineArn"}), _COUNT),
    ("AWS/States", "ExecutionsTimedOut"): (frozenset({"StateMachineArn"}), _COUNT),
}

# Of real-time endpoints only; asynchronous ones do not publish them.
_COMMON = ("Invocation4XXErrors", "Invocation5XXErrors", "Errors")
PUBLISHED_IN_REAL_TIME = {
    **{key: value for key, value in PUBLISHED.items() if key[1] in _COMMON},
    ("AWS/SageMaker", "Invocations"): (_VARIANT, frozenset({"Sum"})),
    ("AWS/SageMaker", "ConcurrentRequestsPerModel"): (_VARIANT, _GAUGE),
    ("AWS/SageMaker", "ModelLatency"): (_VARIANT, _TIME),
    ("AWS/SageMaker", "OverheadLatency"): (_VARIANT, _TIME),
}

_SERVICE = frozenset({"service"})
_SERVICE_AND_ENDPOINT = frozenset({"service", "EndpointName"})

# What our functions write; tests/unit/test_metric_dimensions.py reads it off their logs.
OWN = {
    ("Whisperstack", "JobsSubmitted"): (_SERVICE, _COUNT),
    ("Whisperstack", "JobsRejected"): (_SERVICE, _COUNT),
    ("Whisperstack", "JobsSucceeded"): (_SERVICE, _COUNT),
    ("Whisperstack", "JobsFailed"): (_SERVICE, _COUNT),
    ("Whisperstack", "CanariesFailed"): (_SERVICE_AND_ENDPOINT, _COUNT),
    ("Whisperstack", "CanariesPassed"): (_SERVICE_AND_ENDPOINT, _COUNT),
    ("Whisperstack", "Instances"): (_SERVICE_AND_ENDPOINT, _GAUGE),
    ("Whisperstack", "InstanceHours"): (_SERVICE_AND_ENDPOINT, _COUNT),
    ("Whisperstack", "InstanceHoursToday"): (_SERVICE_AND_ENDPOINT, _GAUGE),
}
