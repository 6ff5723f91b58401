"""A queue that one function works off, with a queue for what it could not."""

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.python_function import PythonFunction
from infra.findings import accept_finding
from infra.grants import grant

# A message must stay hidden while Lambda retries a throttled batch. Source: AWS Lambda developer guide, SQS event sources.
_VISIBILITY_PER_TIMEOUT = 6

# Lambda counts throttled deliveries too. Ten of them, at the visibility above, outlast a short outage of what lies behind.
_DELIVERIES = 10

DEAD_LETTERS_FOR = Duration.days(14)


class WorkQueue(Construct):
    """Each batch is `batch_size` messages at most; the function names those that failed, and only they come again."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: PythonFunction,
        key: kms.IKey,
        batch_size: int,
        max_concurrency: int,
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letter_queue(
            self, "DeadLetters", key=key, of_queue=True, reason="It is the dead-letter queue of the queue beside it."
        )
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            enforce_ssl=True,
            visibility_timeout=Duration.seconds(function.timeout.to_seconds() * _VISIBILITY_PER_TIMEOUT),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=_DELIVERIES),
        )
        # What Lambda's poller does under the function's role. Source: Lambda developer guide, "Using Lambda with Amazon SQS".
        grant(function.role, ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], [self.queue.queue_arn])
        # The function's own add_event_source would put the stack's name into the logical id, which then changes with it.
        deliveries = lambda_.EventSourceMapping(
            self,
            "Deliveries",
            target=function.function,
            event_source_arn=self.queue.queue_arn,
            batch_size=batch_size,
            max_concurrency=max_concurrency,
            report_batch_item_failures=True,
        )
        accept_finding(
            deliveries,
            "Serverless-LambdaEventSourceMappingDestination",
            "Lambda has such destinations for streams; what fails here goes to the queue's own dead-letter queue.",
        )


def dead_letter_queue(scope: Construct, construct_id: str, *, key: kms.IKey, reason: str, of_queue: bool = False) -> sqs.Queue:
    """A queue for what could not be delivered. reason: why it needs no dead-letter queue of its own.

    of_queue: whether it is another queue's, rather than a rule's or a subscription's, which cdk-nag does not see.
    """
    queue = sqs.Queue(
        scope,
        construct_id,
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=key,
        enforce_ssl=True,
        retention_period=DEAD_LETTERS_FOR,
    )
    accept_finding(queue, "Serverless-SQSRedrivePolicy", reason)
    if not of_queue:
        accept_finding(queue, "AwsSolutions-SQS3", reason)
    return queue
