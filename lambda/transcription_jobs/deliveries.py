"""A batch of queue messages, each handled on its own: one that fails is delivered again, the others are done."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext


def process_deliveries(
    event: dict[str, Any], context: "LambdaContext", handle: Callable[[str], None], logger: "Logger"
) -> "PartialItemFailureResponse":
    """Calls `handle` with each message's body; what raises is reported back to the queue, which delivers it again."""

    def handle_record(record: "SQSRecord") -> None:
        try:
            handle(record.body)
        except Exception as error:
            # Not logger.exception: an error's message may quote an object key or a transcript.
            logger.error("delivery failed", message_id=record.message_id, **_description(error))  # noqa: TRY400
            raise
        finally:
            logger.remove_keys(["job_id"])

    # A batch that fails as a whole is reported like any other: the exception that Powertools would raise instead quotes every
    # error in full, and so object keys, in the log.
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event=event, record_handler=handle_record, processor=processor, context=context)


def _description(error: Exception) -> dict[str, Any]:
    """What failed and where, without the message."""
    description: dict[str, Any] = {"error_type": type(error).__name__}
    if isinstance(error, ClientError):
        description["operation"] = error.operation_name
        description["error_code"] = error.response.get("Error", {}).get("Code")
    frames = []
    traceback = error.__traceback__
    while traceback:
        frames.append(f"{traceback.tb_frame.f_globals.get('__name__')}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    description["frames"] = frames
    return description
