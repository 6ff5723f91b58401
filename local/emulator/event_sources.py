"""SQS to Lambda: polls queues as the Lambda service does, in batches, honouring partial batch responses.

moto hands over each message from inside SendMessage, one by one, and forgets the answer's `batchItemFailures`.
"""

import hashlib
import json
import logging
import threading
import time
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from moto.awslambda.models import EventSourceMapping
from moto.sqs.models import Queue

from local.emulator.surroundings import ACCOUNT, HOST, Surroundings, UnexpectedMotoError, replace

_log = logging.getLogger(__name__)

# How often new mappings are looked for.
_DISCOVERY_SECONDS: Final = 1.0
# SQS's longest long poll is 20 s; short ones notice a disabled mapping sooner.
_POLL_SECONDS: Final = 2


class EventSources:
    """One polling thread for each enabled mapping of a queue to a function."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._pollers: dict[str, threading.Thread] = {}

    def start(self) -> None:
        threading.Thread(target=self._discover, name="event-sources", daemon=True).start()

    def is_polling(self, uuid: str) -> bool:
        poller = self._pollers.get(uuid)
        return poller is not None and poller.is_alive()

    def _discover(self) -> None:
        functions = self._surroundings.client("lambda")
        while True:
            try:
                mappings = functions.list_event_source_mappings()["EventSourceMappings"]
            except (BotoCoreError, ClientError):
                _log.exception("looking for event source mappings")
                mappings = []
            for mapping in mappings:
                if mapping["State"] == "Enabled" and not self.is_polling(mapping["UUID"]):
                    poller = threading.Thread(target=self._poll, args=(mapping["UUID"],), daemon=True)
                    self._pollers[mapping["UUID"]] = poller
                    poller.start()
            time.sleep(_DISCOVERY_SECONDS)

    def _poll(self, uuid: str) -> None:
        """Until the mapping is disabled or deleted; discovery starts anew when it is enabled again."""
        functions = self._surroundings.client("lambda")
        while True:
            try:
                mapping = functions.get_event_source_mapping(UUID=uuid)
                if mapping["State"] != "Enabled":
                    return
                arn = mapping["EventSourceArn"]
                # Lambda polls under the function's role.
                role = functions.get_function_configuration(FunctionName=mapping["FunctionArn"])["Role"]
                sqs = self._surroundings.client("sqs", role)
                url = f"http://{HOST}:{self._surroundings.port}/{ACCOUNT}/{arn.rsplit(':', 1)[1]}"
                messages = sqs.receive_message(
                    QueueUrl=url,
                    MaxNumberOfMessages=min(10, mapping.get("BatchSize") or 10),
                    WaitTimeSeconds=_POLL_SECONDS,
                    MessageSystemAttributeNames=["All"],
                ).get("Messages", [])
                if messages:
                    self._deliver(mapping, arn, url, messages, sqs)
            except ClientError as error:
                if error.response["Error"]["Code"] in ("ResourceNotFoundException", "AWS.SimpleQueueService.NonExistentQueue"):
                    return
                _log.exception("polling mapping %s", uuid)
                time.sleep(_DISCOVERY_SECONDS)
            except BotoCoreError:
                _log.exception("polling mapping %s", uuid)
                time.sleep(_DISCOVERY_SECONDS)

    def _deliver(self, mapping: dict[str, Any], arn: str, url: str, messages: list[dict[str, Any]], sqs: Any) -> None:
        records = [_record(message, arn) for message in messages]
        response = self._surroundings.client("lambda").invoke(
            FunctionName=mapping["FunctionArn"], Payload=json.dumps({"Records": records})
        )
        payload = json.loads(response["Payload"].read() or b"null")
        if response.get("FunctionError"):
            return  # the whole batch becomes visible again after the queue's timeout
        failed: set[str] = set()
        if "ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or []):
            failed = {item["itemIdentifier"] for item in (payload or {}).get("batchItemFailures", [])}
        for message in messages:
            if message["MessageId"] not in failed:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def _record(message: dict[str, Any], arn: str) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {},
        "md5OfBody": hashlib.md5(message["Body"].encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": arn.split(":")[3],
    }


class _NoMappings(dict[str, Any]):
    """Takes what moto registers on a queue and shows nothing, so that moto's own delivery finds nothing to do."""

    def __setitem__(self, key: str, value: Any) -> None:
        """Dropped: the pollers above deliver."""


def install(surroundings: Surroundings) -> EventSources:
    initialise = Queue.__init__

    def without_mappings(self: Queue, *args: Any, **kwargs: Any) -> None:
        initialise(self, *args, **kwargs)
        if not isinstance(getattr(self, "lambda_event_source_mappings", None), dict):
            raise UnexpectedMotoError(
                "moto's SQS queues have no lambda_event_source_mappings; install the moto version in requirements-dev.txt"
            )
        self.lambda_event_source_mappings = _NoMappings()

    sources = EventSources(surroundings)

    def with_state(self: EventSourceMapping) -> dict[str, Any]:
        configuration: dict[str, Any] = in_moto(self)
        # As in AWS: messages can still be delivered until the poller has ended.
        if configuration["State"] == "Disabled" and sources.is_polling(configuration["UUID"]):
            configuration["State"] = "Disabling"
        return configuration

    Queue.__init__ = without_mappings  # type: ignore[method-assign]
    in_moto = replace(EventSourceMapping, "get_configuration", with_state)
    return sources
