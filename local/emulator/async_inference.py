"""The queue, the workers and the notifications of asynchronous endpoints.

A request is an object in S3. A worker posts it to the container, stores the answer below S3OutputPath or, where the container
answers with an error, below S3FailurePath, and tells the success or the error topic. Nothing is tried twice: SageMaker
does not either.
"""

import json
import logging
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from local.emulator.endpoints import Container
from local.emulator.surroundings import REGION, Surroundings

_log = logging.getLogger(__name__)

# How often a request looks whether its container has come up.
_WAIT_SECONDS: Final = 0.2


@dataclass(frozen=True)
class AsyncRequest:
    """One InvokeEndpointAsync. Locations are s3:// URIs; ttl_seconds: how long it may wait for a worker;
    timeout_seconds: how long the container may take."""

    inference_id: str
    input_location: str
    output_location: str
    failure_location: str
    content_type: str
    accept: str
    custom_attributes: str
    ttl_seconds: float
    timeout_seconds: float


class AsyncInference:
    """Queues and workers, one pool for each endpoint that has been asked."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._lock = threading.Lock()

    def locations(self, container: Container, extension: str | None, filename: str | None) -> tuple[str, str]:
        """(output, failure) as SageMaker builds them from the endpoint's configuration and the request."""
        output = container.config["AsyncInferenceConfig"]["OutputConfig"]
        unique = str(uuid.uuid4())
        folder = "/".join(part.strip("/") for part in (output["S3OutputPath"], extension or "") if part)
        failures = output.get("S3FailurePath", output["S3OutputPath"]).rstrip("/")
        return f"{folder}/{filename or unique + '.out'}", f"{failures}/{unique}-error.out"

    def submit(self, container: Container, request: AsyncRequest) -> None:
        name = container.endpoint.endpoint_name
        client = container.config["AsyncInferenceConfig"].get("ClientConfig", {})
        with self._lock:
            pool = self._pools.setdefault(
                name, ThreadPoolExecutor(client.get("MaxConcurrentInvocationsPerInstance", 1), thread_name_prefix=name)
            )
        pool.submit(self._run, container, request, datetime.now(UTC))

    def stop(self) -> None:
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, container: Container, request: AsyncRequest, received: datetime) -> None:
        try:
            status, body = self._ask(container, request, received)
        except Exception as error:  # noqa: BLE001  # whatever went wrong in here, a request must not vanish
            _log.exception("request %s", request.inference_id)
            self._notify(container, request, received, failure=f"InternalServerError: {error}")
            return
        if status == 200:
            self._store(container, request.output_location, body)
            self._notify(container, request, received)
            return
        self._store(container, request.failure_location, body)
        kind = "ClientError" if status < 500 else "InternalServerError"
        self._notify(
            container,
            request,
            received,
            failure=f"{kind}: Received {'client' if status < 500 else 'server'} error ({status}) from model. "
            "See the SageMaker Endpoint logs in your account for more information.",
        )

    def _ask(self, container: Container, request: AsyncRequest, received: datetime) -> tuple[int, bytes]:
        """Raises TimeoutError where no container came up in the request's time to live."""
        while not container.url:
            if (datetime.now(UTC) - received).total_seconds() > request.ttl_seconds or container.stopping.is_set():
                raise TimeoutError("the request expired in the queue")
            time.sleep(_WAIT_SECONDS)
        bucket, key = _split(request.input_location)
        body = self._surroundings.client("s3", container.role).get_object(Bucket=bucket, Key=key)["Body"].read()
        headers = {
            "Content-Type": request.content_type,
            "Accept": request.accept,
            "X-Amzn-SageMaker-Inference-Id": request.inference_id,
            "X-Amzn-SageMaker-Custom-Attributes": request.custom_attributes,
        }
        return container.invoke(body, headers, request.timeout_seconds)

    def _store(self, container: Container, location: str, body: bytes) -> None:
        bucket, key = _split(location)
        self._surroundings.client("s3", container.role).put_object(
            Bucket=bucket, Key=key, Body=body, ContentType="application/json"
        )

    def _notify(self, container: Container, request: AsyncRequest, received: datetime, failure: str | None = None) -> None:
        topics = container.config["AsyncInferenceConfig"]["OutputConfig"].get("NotificationConfig", {})
        topic = topics.get("ErrorTopic" if failure else "SuccessTopic")
        if not topic:
            return
        message: dict[str, Any] = {
            "awsRegion": REGION,
            "eventTime": datetime.now(UTC).isoformat(),
            "receivedTime": received.isoformat(),
            "invocationStatus": "Failed" if failure else "Completed",
            "requestParameters": {
                "contentType": request.content_type,
                "endpointName": container.endpoint.endpoint_name,
                "inputLocation": request.input_location,
            },
            "inferenceId": request.inference_id,
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
        }
        if failure:
            message["failureReason"] = failure
        else:
            message["responseParameters"] = {"contentType": "application/json", "outputLocation": request.output_location}
        self._surroundings.client("sns", container.role).publish(TopicArn=topic, Message=json.dumps(message))


def _split(location: str) -> tuple[str, str]:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return bucket, key
