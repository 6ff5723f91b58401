"""What someone should hear of the asynchronous pipeline, beside what its endpoint undoes an update on."""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.alarms import Alarms
from infra.constructs.async_endpoint import AsyncEndpoint
from infra.constructs.python_function import PythonFunction

_FIVE_MINUTES = Duration.minutes(5)

# Metric → what it means. Each counts requests that a person may have to look after.
_LOST_WORK = {
    "ExpiredRequests": "Requests waited for an instance until they expired.",
    "RequestDownloadFailures": "The endpoint could not read staged recordings; look at its role, the key and the lifecycle.",
    "ResponseUploadFailures": "The endpoint could not write transcripts; look at its role and the key.",
    "NotificationFailures": "The endpoint could not publish on its topics; look at its role and the key.",
}


class AsynchronousAlarms(Construct):
    """dead_letters, functions: by the name that their alarm gets, without its ending."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        alarms: Alarms,
        endpoint: AsyncEndpoint,
        dead_letters: Mapping[str, sqs.IQueue],
        functions: Mapping[str, PythonFunction],
        oldest_request_minutes: int,
    ) -> None:
        super().__init__(scope, construct_id)
        for name, queue in dead_letters.items():
            alarms.dead_letters(
                self, f"{name}DeadLetters", queue, "Messages failed again and again and lie in a dead-letter queue."
            )
        for name, function in functions.items():
            alarms.function_errors(self, f"{name}Errors", function, "A function has failed for a quarter of an hour.")
        for metric, meaning in _LOST_WORK.items():
            alarms.at_least(self, metric, endpoint.metric(metric, "Sum", _FIVE_MINUTES, of_variant=True), 1, meaning=meaning)
        alarms.at_least(
            self,
            "OldestRequest",
            endpoint.metric("ApproximateAgeOfOldestRequest", "Maximum", _FIVE_MINUTES),
            oldest_request_minutes * 60,
            meaning=f"A recording has waited for {oldest_request_minutes} minutes or longer.",
        )
